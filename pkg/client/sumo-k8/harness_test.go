package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service/servicetest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestMain(m *testing.M) { servicetest.Main(m) }

// user is a person at a terminal of his own.
type user struct {
	t   *testing.T
	dir string
	env map[string]string
}

// person has an environment without any settings.
func person(t *testing.T) *user {
	dir := t.TempDir()
	return &user{t: t, dir: dir, env: map[string]string{"HOME": dir}}
}

// operator knows the admin key.
func operator(t *testing.T, s *service.Server) *user {
	u := person(t)
	u.env[urlVariable], u.env[adminKeyVariable] = s.URL, s.AdminKey
	return u
}

var serial struct {
	sync.Mutex
	n int
}

// tenant is a person of a tenant of his own.
func tenant(t *testing.T, s *service.Server, limits ...string) *user {
	t.Helper()
	serial.Lock()
	serial.n++
	id := fmt.Sprintf("tenant-%d", serial.n)
	serial.Unlock()
	key := operator(t, s).ok(append([]string{"tenants", "create", id}, limits...)...).stdout
	u := person(t)
	u.env[urlVariable], u.env[apiKeyVariable] = s.URL, strings.TrimSpace(key)
	return u
}

// outcome of a command.
type outcome struct {
	code           int
	stdout, stderr string
}

func (u *user) run(args ...string) outcome { return u.runWith(u.t.Context(), "", args...) }

func (u *user) runWith(ctx context.Context, stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr, func(name string) string { return u.env[name] })
	for _, key := range []string{u.env[apiKeyVariable], u.env[adminKeyVariable]} {
		if key != "" && strings.Contains(stdout.String()+stderr.String(), key) {
			u.t.Errorf("%q printed a key", args)
		}
	}
	return outcome{code, stdout.String(), stderr.String()}
}

// ends runs a command that must end with code.
func (u *user) ends(code int, args ...string) outcome {
	u.t.Helper()
	o := u.run(args...)
	if o.code != code {
		u.t.Fatalf("sumo-k8 %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

func (u *user) ok(args ...string) outcome {
	u.t.Helper()
	return u.ends(exitOK, args...)
}

// says checks that texts are all part of got.
func says(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("no %q in\n%s", text, got)
		}
	}
}

// file makes a file for the user.
func (u *user) file(name string, content []byte) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		u.t.Fatal(err)
	}
	return path
}

// network is the zip of a ready network, each of its files changed by edit, which may be nil.
func (u *user) network(name string, edit func(file, content string) string) string {
	u.t.Helper()
	content, err := networks.ReadyZip(name)
	if edit != nil {
		content, err = networks.Edited(name, edit)
	}
	if err != nil {
		u.t.Fatal(err)
	}
	return u.file(name+".zip", content)
}

// endless is a scenario that runs until it is stopped.
func (u *user) endless() string {
	u.t.Helper()
	content, err := networks.Endless()
	if err != nil {
		u.t.Fatal(err)
	}
	return u.file("endless.zip", content)
}
