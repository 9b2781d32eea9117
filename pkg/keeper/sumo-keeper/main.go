// Command sumo-keeper stores the runs of a chunk as they end: the sidecar of a pod in which sumo-run goes through them.
//
//	sumo-keeper --list FILE --out DIR --desk DIR --namespace NAMESPACE
//
// It reaches the object store by the functions' own settings (S3_ENDPOINT and its neighbours; see package config). SIGTERM announces that
// sumo-run ends; the keeper then stores what has ended, and ends with 0.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

// retryEvery is how often an unreachable store is asked for what an earlier keeper has stored. Nothing can begin before.
const retryEvery = 2 * time.Second

// maxNamed bounds the object with the cancelled runs: a UUID for each run of a chunk, many times.
const maxNamed = 1 << 20

// maxState bounds the object with the state, which is a few hundred kilobytes at most.
const maxState = 64 << 20

func main() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM, syscall.SIGINT) // Argo sends it more than once
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	if err := execute(context.Background(), os.Args[1:], terminated, log); err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Error().Err(err).Msg("the keeper ends")
		os.Exit(1)
	}
}

func execute(ctx context.Context, args []string, terminated <-chan os.Signal, log zerolog.Logger) error {
	k := &keeper.Keeper{ReportEvery: chunk.ReportEvery, ProgressEvery: chunk.ProgressEvery, Now: time.Now, Log: log}
	flags := flag.NewFlagSet("sumo-keeper", flag.ContinueOnError)
	list := flags.String("list", "", "the `file` with the chunk's runs")
	namespace := flags.String("namespace", "", "the tenant's `namespace`")
	flags.StringVar(&k.Out, "out", "", "`folder` that sumo-run writes")
	flags.StringVar(&k.Desk, "desk", "", "`folder` of the signals for sumo-run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*list)
	if err == nil {
		err = json.Unmarshal(text, &k.List)
	}
	if err != nil {
		return fmt.Errorf("reading the list of runs: %w", err)
	}
	if k.List.Generation != chunk.Generation {
		return fmt.Errorf("the list of runs is of generation %d; this program speaks %d", k.List.Generation, chunk.Generation)
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	if level, err := zerolog.ParseLevel(cfg.LogLevel); err == nil {
		k.Log = log.Level(level)
	}
	objects, err := s3.New(s3.Config{
		Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, Bucket: cfg.S3Bucket, AccessKey: cfg.S3AccessKey, SecretKey: cfg.S3SecretKey,
		UsePathStyle: cfg.S3Endpoint != "",
	})
	if err != nil {
		return err
	}
	k.Objects = objects
	state := artifact.ChunkState(*namespace, k.List.ID)
	k.Report = func(ctx context.Context, s chunk.State) error {
		packed, err := s.Encode()
		if err == nil {
			_, err = objects.Put(ctx, state, bytes.NewReader(packed), artifact.ContentType(state))
		}
		return err
	}
	k.Cancelled = func(ctx context.Context) ([]string, error) {
		return cancelled(ctx, objects, artifact.ChunkCancelled(*namespace, k.List.ID))
	}
	beginning, abandon := context.WithCancel(ctx)
	defer abandon()
	go func() {
		for range terminated {
			abandon()
			k.Close()
		}
	}()
	k.Known = known(beginning, objects, state, k.Log)
	if beginning.Err() != nil {
		return nil // no run has begun
	}
	return k.Run(ctx)
}

// known returns what an earlier keeper of the chunk has stored. It tries again until the store has answered. What cannot be understood
// counts as nothing: the runs are repeated.
func known(ctx context.Context, objects *s3.Store, key string, log zerolog.Logger) map[string]chunk.RunState {
	for ctx.Err() == nil {
		text, err := read(ctx, objects, key)
		switch {
		case err == nil:
			s, err := chunk.ReadState(bytes.NewReader(text))
			if err != nil {
				log.Error().Err(err).Msg("what an earlier keeper has stored is not readable: its runs are repeated")
				return nil
			}
			return s.Runs
		case problem.CodeOf(err) == problem.NotFound:
			return nil
		}
		log.Warn().Err(err).Msg("object store failed")
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
		}
	}
	return nil
}

// read returns an object of at most maxState bytes.
func read(ctx context.Context, objects *s3.Store, key string) ([]byte, error) {
	body, err := objects.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, maxState))
}

// cancelled reads which runs are to be stopped.
func cancelled(ctx context.Context, objects *s3.Store, key string) ([]string, error) {
	body, err := objects.Open(ctx, key, 0, -1)
	if problem.CodeOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var named chunk.Cancelled
	if err := json.NewDecoder(io.LimitReader(body, maxNamed)).Decode(&named); err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return named.Runs, nil
}
