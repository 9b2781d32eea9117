package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The test binary plays the local server when this variable names how it should behave.
const roleVariable = "SERVICE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "crash":
		fmt.Fprintln(os.Stderr, "panic: no room for a cluster")
		os.Exit(3)
	default:
		serve()
	}
}

// serve announces itself as the local server does, and says in a file that it was stopped in order.
func serve() {
	dir := os.Args[2] // serve --data DIR
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var asked atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" || asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	go func() { _ = http.Serve(listener, handler) }()
	text, err := json.Marshal(map[string]string{"url": "http://" + listener.Addr().String(), "admin_key": "pid " + strconv.Itoa(os.Getpid())})
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), text, 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, endpointFile)); err != nil {
		panic(err)
	}
	<-ctx.Done()
	if err := os.WriteFile(filepath.Join(dir, "stopped"), nil, 0o600); err != nil {
		panic(err)
	}
}

func TestTheServerIsReadyThenStoppedInOrder(t *testing.T) {
	t.Setenv(roleVariable, "good")
	dir := t.TempDir()
	stale := `{"url": "http://127.0.0.1:1", "admin_key": "stale"}`
	if err := os.WriteFile(filepath.Join(dir, endpointFile), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), os.Args[0], dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("pid %d", s.process.Pid()); s.AdminKey != want {
		t.Errorf("admin key %q, want %q", s.AdminKey, want)
	}
	s.Stop()
	if _, err := os.Stat(filepath.Join(dir, "stopped")); err != nil {
		t.Errorf("the server was not stopped in order: %v", err)
	}
	if _, err := http.Get(s.URL); err == nil {
		t.Error("the server still answers")
	}
}

func TestAServerThatEndsAtOnceShowsItsLogs(t *testing.T) {
	t.Setenv(roleVariable, "crash")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, logFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	var postgres strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&postgres, "line %d of Postgres\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, logFolder, "postgres.log"), []byte(postgres.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), os.Args[0], dir)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"the server ended while starting: exit status 3\n", "panic: no room for a cluster",
		"line 1999 of Postgres"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "line 1900 of") {
		t.Error("more than the end of a log is shown")
	}
}

func TestStartingStopsWithTheContext(t *testing.T) {
	t.Setenv(roleVariable, "good")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, os.Args[0], dir); err == nil {
		t.Error("no error")
	}
}
