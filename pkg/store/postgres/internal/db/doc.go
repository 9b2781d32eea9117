// Package db is the SQL of ../../queries as Go functions. All but this file is written by sqlc.
package db
