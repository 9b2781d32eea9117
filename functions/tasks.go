package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/internal/wake"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// tasks are what FUNCTION_TARGET may name beside the functions: they are done once, without a server.
var tasks = map[string]func(context.Context, config.Config, zerolog.Logger) error{
	"migrate":  migrate,
	"schedule": schedule,
}

var errNoDatabase = errors.New("DATABASE_URL is not set; it names the Postgres database")

// migrate makes ready what the functions find: the schema, and the bucket where it is not Amazon's to give. It may be run
// again, and at the same time as functions of the release before.
func migrate(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	if cfg.DatabaseURL == "" {
		return errNoDatabase
	}
	if cfg.DatabasePooled {
		return errors.New("DATABASE_POOLED is set, but migrations take turns by a lock of a session, which a pooler does not keep: give DATABASE_URL the server itself here")
	}
	if err := postgres.Migrate(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	log.Info().Msg("the schema is up to date")
	if cfg.S3Endpoint == "" {
		log.Info().Str("bucket", cfg.S3Bucket).Msg("S3_ENDPOINT is not set: on AWS the operator makes the bucket")
		return nil
	}
	objects, err := s3.New(storeOf(cfg))
	if err != nil {
		return err
	}
	if err := objects.EnsureBucket(ctx); err != nil {
		return err
	}
	log.Info().Str("bucket", cfg.S3Bucket).Msg("the bucket is there")
	return nil
}

// schedule is one tick of the schedule where no PingSource sends it: it ends when reconcile has answered.
func schedule(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	if cfg.ReconcileURL == "" {
		return errors.New("RECONCILE_URL is not set; it says where the reconcile function is called")
	}
	report, err := callerOf(cfg).Call(ctx)
	if err != nil {
		return err
	}
	log.Info().Interface("report", report).Msg("reconciled")
	return nil
}

func callerOf(cfg config.Config) wake.Caller {
	return wake.Caller{URL: cfg.ReconcileURL, TokenFile: cfg.ReconcileTokenFile, AdminKey: cfg.AdminKey, Transport: http.DefaultTransport}
}
