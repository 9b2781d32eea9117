// Package service starts the service of one machine as a child process and waits until it answers.
package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

const (
	// startWithin is generous: the first start on a slow disk makes a Postgres cluster.
	startWithin = 2 * time.Minute
	// stopWithin covers ending requests and runs gracefully, then a checkpoint of Postgres.
	stopWithin = time.Minute
	// pollEvery is how often the server is asked whether it is ready.
	pollEvery = 50 * time.Millisecond

	endpointFile = "endpoint.json"
	logFolder    = "logs"
	outputFile   = "stderr.log" // says why the server ended

	// tailLines and tailBytes of each log file are shown when the server does not start.
	tailLines = 30 // the message of a panic stands above its stack
	tailBytes = 8 << 10
)

// Server is a local server that we started.
type Server struct {
	URL      string `json:"url"`
	AdminKey string `json:"admin_key"`

	process *process.Process
}

// Start starts binary on the data folder dir, with further args, and waits until it is ready. Its error includes the end of the
// server's logs.
func Start(ctx context.Context, binary, dir string, args ...string) (_ *Server, err error) {
	logs := filepath.Join(dir, logFolder)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("making the server's folder: %w", err)
	}
	output, err := os.OpenFile(filepath.Join(logs, outputFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the server's log: %w", err)
	}
	defer output.Close()

	endpoint := filepath.Join(dir, endpointFile)
	before, err := os.Stat(endpoint)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("looking for an earlier server: %w", err)
	}

	cmd := exec.Command(binary, append([]string{"--data", dir}, args...)...)
	cmd.Stderr = output // its standard output shows the admin key to people, and is dropped
	// SIGTERM also when we are killed: the server then stops its Postgres and object store in order.
	child, err := process.Start(cmd, process.Options{DeathSignal: syscall.SIGTERM})
	if err != nil {
		return nil, err
	}
	s := &Server{process: child}
	defer func() {
		if err != nil {
			s.Stop()
			err = fmt.Errorf("%w\n%s", err, tails(logs))
		}
	}()

	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("the server was not ready within %s", startWithin))
	defer cancel()
	for {
		if s.announced(endpoint, before) && s.ready(ctx) {
			return s, nil
		}
		select {
		case <-child.Done():
			return nil, fmt.Errorf("the server ended while starting: %w", exitError(child.Wait()))
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// announced reads the endpoint file, unless it is still the one that an earlier server left.
func (s *Server) announced(endpoint string, before os.FileInfo) bool {
	now, err := os.Stat(endpoint)
	if err != nil || before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) {
		return false
	}
	text, err := os.ReadFile(endpoint)
	return err == nil && json.Unmarshal(text, s) == nil && s.URL != ""
}

func (s *Server) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/ready", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Stop ends the server and all that it runs.
func (s *Server) Stop() {
	// How it ended does not matter: the process group is gone either way.
	_ = s.process.Stop(context.Background(), stopWithin)
}

// tails returns the last lines of every log in folder, the most recently written log last.
func tails(folder string) string {
	paths, _ := filepath.Glob(filepath.Join(folder, "*"))
	type log struct {
		path    string
		written time.Time
		size    int64
	}
	var logs []log
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			logs = append(logs, log{p, info.ModTime(), info.Size()})
		}
	}
	slices.SortFunc(logs, func(a, b log) int { return a.written.Compare(b.written) })

	var b strings.Builder
	for _, l := range logs {
		file, err := os.Open(l.path)
		if err != nil {
			continue // the failure itself is known without its logs
		}
		start := max(0, l.size-tailBytes)
		text, _ := io.ReadAll(io.NewSectionReader(file, start, tailBytes))
		file.Close()
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		fmt.Fprintf(&b, "--- the end of %s\n", l.path)
		b.Write(bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n")))
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "The server wrote nothing to " + folder + "."
	}
	return strings.TrimSpace(b.String())
}
