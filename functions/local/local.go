package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/infra/local"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/server"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Settings come from the command line. Everything else comes from the environment, as it does for the functions.
type Settings struct {
	Dir         string // data folder
	Listen      string // host:port
	Slots       int    // number of concurrent simulations
	ObjectStore string // path of the object store's program
	SumoRun     string // path of the sumo-run program
	// Controllers enables programs of scenarios, as CONTROLLERS=python does.
	Controllers bool
	// Sumo are the versions of SUMO to install if they are missing; Console is where that is reported.
	Sumo    []string
	Console io.Writer
}

// Endpoint says how to reach a running service. It is stored in the data folder, readable by its owner only.
type Endpoint struct {
	URL      string `json:"url"`
	AdminKey string `json:"admin_key"`
	PID      int    `json:"pid"`
}

const (
	endpointFile = "endpoint.json"
	adminKeyFile = "admin-key"
	database     = "sumo_k8"
	// connections to Postgres: one process does the work of many instances here, so it has their connections.
	connections = 16
	// stopTimeout bounds stopping the engine's runs, then stopping the servers; SUMO stops within a tenth of a second.
	stopTimeout = 15 * time.Second
	// idlePass is how often reconcile runs when nothing has woken it, like the cluster's schedule.
	idlePass = time.Minute
)

// Service is the whole product in one process and its children.
type Service struct {
	Endpoint Endpoint

	dir      string
	cfg      config.Config
	log      zerolog.Logger
	listener net.Listener
	handler  http.Handler
	parts    app.Parts
	sumo     sumos
	poke     chan struct{}
	lost     map[string]<-chan struct{} // closed when the server of that name exits
	closers  []func() error             // in the order of opening
}

// Open starts the servers and makes everything ready. Requests are answered only once Serve runs.
func Open(ctx context.Context, s Settings) (_ *Service, err error) {
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the data folder: %w", err)
	}
	service := &Service{dir: dir, poke: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, service.close())
		}
	}()
	if service.cfg, err = config.Load(); err != nil {
		return nil, err
	}
	service.cfg.Target, service.cfg.SumoImages = "local", nil // runs are processes here
	if s.Controllers {
		service.cfg.Controllers = config.ControllersPython
	}
	if os.Getenv("STREAM_LIMIT") == "" {
		service.cfg.StreamLimit = 0 // no gateway is in front
	}
	if err := service.openLog(); err != nil {
		return nil, err
	}
	unlock, err := local.Lock(dir)
	if err != nil {
		return nil, err
	}
	service.closing(func() error { unlock(); return nil })
	if service.sumo, err = findSumo(ctx, service.cfg, s.SumoRun, s.Sumo, cmp.Or[io.Writer](s.Console, io.Discard)); err != nil {
		return nil, err
	}
	service.cfg.SumoVersion = cmp.Or(service.cfg.SumoVersion, service.sumo.distribution)
	service.log.Info().Msg(service.sumo.notice(service.cfg))
	service.cfg.Confinement = cmp.Or(service.cfg.Confinement, confine.Require)
	newest := service.sumo.environment(service.cfg.Offer(service.sumo.installed).Newest())
	held, err := confinement(ctx, s.SumoRun, newest, service.cfg.Confinement)
	if err != nil {
		return nil, err
	}
	service.log.Info().Stringer("confinement", held).Msg("runs are confined")
	if err := service.startServers(ctx, s); err != nil {
		return nil, err
	}
	if err := service.assemble(s); err != nil {
		return nil, err
	}
	service.parts.Confinement = func(context.Context) (simulation.Confinement, error) { return held, nil }
	if err := service.listen(s.Listen); err != nil {
		return nil, err
	}
	return service, nil
}

// URL is where the service answers.
func (s *Service) URL() string { return s.Endpoint.URL }

// Serve answers requests and runs jobs until ctx ends, then stops everything that Open started.
func (s *Service) Serve(ctx context.Context) error {
	reconciled := make(chan struct{})
	reconcileCtx, stopReconcile := context.WithCancel(context.Background())
	go func() {
		defer close(reconciled)
		s.reconcileLoop(reconcileCtx)
	}()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for name, ended := range s.lost {
		go func() {
			select {
			case <-ended:
				fail(fmt.Errorf("%s exited unexpectedly; see %s. Start again: nothing accepted is lost", name, s.dir))
			case <-ctx.Done():
			}
		}()
	}
	s.log.Info().Str("url", s.Endpoint.URL).Msg("serving")
	err := server.Serve(ctx, s.listener, s.handler, server.Shutdown{Grace: s.cfg.ShutdownGrace}, s.log)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	stopReconcile()
	<-reconciled
	return errors.Join(err, s.close())
}

// reconcileLoop stands in for the cluster's schedule and calls the same function, as soon as there is work and
// otherwise every idlePass.
func (s *Service) reconcileLoop(ctx context.Context) {
	function := s.parts.Reconcile()
	timer := time.NewTicker(idlePass)
	defer timer.Stop()
	for {
		report, err := function.Run(ctx, function.Window)
		if err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("reconcile failed; retrying")
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
				continue
			}
		}
		if report.Active > 0 && ctx.Err() == nil {
			continue // the window ended with work left
		}
		select {
		case <-ctx.Done():
			return
		case <-s.poke:
		case <-s.parts.Engine.Changed():
		case <-timer.C:
		}
	}
}

func (s *Service) openLog() error {
	folder := filepath.Join(s.dir, "logs")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, "service.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	s.closing(file.Close)
	level, err := zerolog.ParseLevel(s.cfg.LogLevel)
	if err != nil {
		return fmt.Errorf("LOG_LEVEL: %w", err)
	}
	s.log = zerolog.New(file).Level(level).With().Timestamp().Logger()
	return nil
}

func (s *Service) startServers(ctx context.Context, settings Settings) error {
	pg, err := local.StartPostgres(ctx, filepath.Join(s.dir, "postgres"), s.log)
	if err != nil {
		return err
	}
	s.closing(pg.Stop)
	store, err := local.StartObjectStore(ctx, filepath.Join(s.dir, "objects"), settings.ObjectStore, s.log)
	if err != nil {
		return err
	}
	s.closing(store.Stop)
	s.lost = map[string]<-chan struct{}{"Postgres": pg.Done(), "the object store": store.Done()}
	if err := pg.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	// Addresses of other servers in the environment do not apply here.
	s.cfg.DatabaseURL, s.cfg.DatabaseConnections, s.cfg.DatabasePooled = pg.URL(database), connections, false
	s.cfg.ReconcileURL, s.cfg.S3PublicEndpoint = "", ""
	s.cfg.S3Endpoint, s.cfg.S3AccessKey, s.cfg.S3SecretKey = store.Endpoint(), store.AccessKey(), store.SecretKey()
	return app.Migrate(ctx, s.cfg, s.log)
}

// assemble makes the functions and their engine on top of the running servers.
func (s *Service) assemble(settings Settings) (err error) {
	s.cfg.RunsDir, s.cfg.SumoRun, s.cfg.Slots = filepath.Join(s.dir, "runs"), settings.SumoRun, settings.Slots
	if s.cfg.AdminKey, err = s.adminKey(); err != nil {
		return err
	}
	var closeParts func()
	if s.parts, closeParts, err = app.Open(s.cfg, nil, s.log); err != nil {
		return err
	}
	s.closing(func() error { closeParts(); return nil })
	s.parts.Installations = s.sumo.installed
	stop, err := s.parts.AddLocalEngine()
	if err != nil {
		return err
	}
	s.closing(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return stop(ctx)
	})
	s.parts.Changed = s.changed
	return nil
}

func (s *Service) listen(address string) (err error) {
	if s.handler, err = s.parts.Handler(); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", address); err != nil {
		return fmt.Errorf("listening on %s: %w", address, err)
	}
	s.Endpoint = Endpoint{URL: "http://" + s.listener.Addr().String(), AdminKey: s.cfg.AdminKey, PID: os.Getpid()}
	raw, err := json.Marshal(s.Endpoint)
	if err != nil {
		return err
	}
	// Clients take the file's presence to mean that the service answers; the listener queues them until Serve.
	path := filepath.Join(s.dir, endpointFile)
	if err := writeFile(path, append(raw, '\n')); err != nil {
		return err
	}
	s.closing(func() error { return os.Remove(path) })
	return nil
}

// confinement asks sumo-run, in an environment, what confines runs on this machine. Under confine.Require, insufficient confinement is
// an error.
func confinement(ctx context.Context, sumoRun string, env []string, mode confine.Mode) (held simulation.Confinement, err error) {
	cmd := exec.CommandContext(ctx, sumoRun, "--print-confinement", "--confinement="+string(mode))
	cmd.Env = env
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &held)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	switch {
	case err == nil:
		return held, nil
	case mode == confine.Require:
		return held, fmt.Errorf("checking how this machine confines runs: %w. "+
			"CONFINEMENT=prefer allows runs with weaker confinement or none", err)
	default:
		return held, fmt.Errorf("checking how this machine confines runs: %w", err)
	}
}

// changed wakes the reconcile loop.
func (s *Service) changed(context.Context) {
	select {
	case s.poke <- struct{}{}:
	default: // already awake
	}
}

// adminKey returns the key from the environment, or one that is generated once and stored.
func (s *Service) adminKey() (string, error) {
	if s.cfg.AdminKey != "" {
		return s.cfg.AdminKey, nil
	}
	path := filepath.Join(s.dir, adminKeyFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		return string(raw), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the admin key: %w", err)
	}
	key := "admin-" + rand.Text()
	return key, writeFile(path, []byte(key))
}

// writeFile writes a secret so that no reader ever sees part of it.
func writeFile(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return os.Rename(path+".new", path)
}

func (s *Service) closing(f func() error) { s.closers = append(s.closers, f) }

// close undoes Open in reverse order.
func (s *Service) close() error {
	var err error
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	s.closers = nil
	return err
}

// besideUs returns the path of a program in the folder of this one, where make puts them together.
func besideUs(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name // found in PATH, or reported as missing when it is started
	}
	return filepath.Join(filepath.Dir(self), name)
}
