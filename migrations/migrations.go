// Package migrations holds the history of the database schema as SQL files for goose.
package migrations

import "embed"

// FS holds the migrations at its root.
//
//go:embed *.sql
var FS embed.FS
