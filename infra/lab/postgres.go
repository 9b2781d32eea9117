package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local"
)

// servePostgres keeps the lab's database running until ctx ends. It is a process of its own because the server must not
// outlive its parent.
func servePostgres(ctx context.Context, l layout) error {
	host, _, err := net.SplitHostPort(database)
	if err != nil {
		return err
	}
	pg, err := local.StartListeningPostgres(ctx, filepath.Join(l.run, "postgres"), local.Listener{
		Address: host, Clients: podNet, Password: os.Getenv("LAB_DATABASE_PASSWORD"),
	}, zerolog.New(os.Stderr).With().Timestamp().Logger())
	if err != nil {
		return err
	}
	if err := pg.EnsureDatabase(ctx, databaseName); err != nil {
		return errors.Join(err, pg.Stop())
	}
	select {
	case <-ctx.Done():
		return pg.Stop()
	case <-pg.Done():
		return errors.New("the database ended; its log is in " + pg.Folder())
	}
}
