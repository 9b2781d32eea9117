package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// asSumoRun makes this test binary be sumo-run, so that signals and exit codes are the real thing.
const asSumoRun = "TEST_AS_SUMO_RUN"

func TestMain(m *testing.M) {
	confine.Enter()
	if os.Getenv(asSumoRun) != "" {
		if err := refuse(strings.Fields(os.Getenv(refused))); err != nil {
			panic(err)
		}
		main()
	}
	os.Exit(m.Run())
}

// refused are system calls that sumo-run and its children shall not have, each with its answer, such as "mount=1".
const refused = "TEST_REFUSED_CALLS"

func refuse(calls []string) error {
	if len(calls) == 0 {
		return nil
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow}
	for _, call := range calls {
		name, answer, _ := strings.Cut(call, "=")
		errno, err := strconv.ParseUint(answer, 10, 16)
		if err != nil {
			return err
		}
		policy.Syscalls = append(policy.Syscalls, seccomp.SyscallGroup{Names: []string{name},
			Action: seccomp.ActionErrno | seccomp.Action(errno)})
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy})
}

// command is sumo-run with its folders below dir, on the scenario of package run's tests with this demand.
func command(t *testing.T, dir, demand string, args ...string) *exec.Cmd {
	t.Helper()
	net, err := os.ReadFile("../run/testdata/road.net.xml")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for name, text := range map[string]string{
		"road.net.xml": string(net),
		"road.rou.xml": "<routes>" + demand + "</routes>",
		"run.sumocfg":  `<configuration><net-file value="road.net.xml"/><route-files value="road.rou.xml"/></configuration>`,
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("scenario.zip"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{
		"--scenario", in("scenario.zip"), "--work", in("work"), "--out", in("out"),
		"--progress", in("progress"), "--termination-log", in("termination"),
	}, args...)...)
	sumo := sumotest.Newest(t)
	cmd.Env = append(os.Environ(), asSumoRun+"=1", "SUMO_BINARY="+sumo.Binary, "SUMO_HOME="+sumo.Home, "SUMO_VERSION="+sumo.Version)
	return cmd
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestMachinesThatOfferLess runs behind a wall where something is missing that this machine has.
func TestMachinesThatOfferLess(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		umask   int
		refused string
		without string // a capability
		held    string // a part of the log's line
	}{
		"root that may not write everybody's files": {without: "dac_override", held: "Landlock"},
		"a strict umask":                     {umask: 0o077},
		"root that may not mount after all":  {refused: "mount=1", held: "Landlock"},
		"no Landlock and an old close_range": {refused: "landlock_create_ruleset=38 close_range=22", held: "namespace"},
		"no close_range":                     {refused: "close_range=38", held: "Landlock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := command(t, dir, `<vehicle id="v" depart="0"><route edges="AB"/></vehicle>`, "--confinement", "require")
			cmd.Env = append(cmd.Env, refused+"="+tc.refused)
			if tc.umask != 0 {
				cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", fmt.Sprintf(`umask %o; exec "$0" "$@"`, tc.umask)}, cmd.Args...)
			}
			if tc.without != "" {
				if os.Geteuid() != 0 {
					t.Skip("an ordinary user has no capabilities")
				}
				setpriv, err := exec.LookPath("setpriv")
				if err != nil {
					t.Skip(err)
				}
				cmd.Path, cmd.Args = setpriv, append([]string{"setpriv", "--bounding-set", "-" + tc.without}, cmd.Args...)
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), tc.held) {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	const vehicle = `<vehicle id="v" depart="0"><route edges="AB"/></vehicle>`
	const endless = `<flow id="f" begin="0" end="1000000" number="1000000"><route edges="AB BC"/></flow>`
	for name, tc := range map[string]struct {
		demand string
		args   []string
		code   int
		words  string // in the termination log
	}{
		"success":              {demand: vehicle},
		"options are heeded":   {demand: endless, args: []string{"--options", `{"end":50,"seed":3,"outputs":["queue"]}`}},
		"an unusable scenario": {demand: vehicle + vehicle, code: simulation.ExitInvalidScenario, words: "InvalidScenario: "},
		"the timeout is over": {demand: endless, args: []string{"--timeout", "300ms"},
			code: simulation.ExitDeadlineExceeded, words: "DeadlineExceeded: "},
		"options not in JSON": {args: []string{"--options", "x"}, code: simulation.ExitInternalError, words: "--options"},
		"an unknown option":   {args: []string{"--options", `{"sed":1}`}, code: simulation.ExitInternalError, words: "sed"},
		"an unknown output":   {args: []string{"--options", `{"outputs":["video"]}`}, code: simulation.ExitInternalError, words: "video"},
		"a missing flag":      {args: []string{"--work", ""}, code: simulation.ExitInternalError, words: "--work is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := command(t, dir, tc.demand, tc.args...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Fatalf("exit code %d, want %d:\n%s", code, tc.code, out)
			}
			if tc.code == simulation.ExitOK {
				if got := read(t, filepath.Join(dir, "progress")); got != "1000/1000" {
					t.Errorf("progress %s", got)
				}
				if log := read(t, filepath.Join(dir, "out", simulation.LogFile)); log != string(out) {
					t.Errorf("the output is not the log:\n%s", out)
				}
			} else if words := read(t, filepath.Join(dir, "termination")); !strings.Contains(words, tc.words) || len(words) > maxTermination {
				t.Errorf("the termination log says %q", words)
			}
		})
	}
}

func TestSIGTERMStopsTheRunAndKeepsItsOutputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(t, dir, `<flow id="f" begin="0" end="1000000" number="1000000"><route edges="AB BC"/></flow>`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "[") { // it simulates
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != simulation.ExitInterrupted {
		t.Fatalf("exit code %d", code)
	}
	var outcome simulation.Outcome
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "out", simulation.OutcomeFile))), &outcome); err != nil {
		t.Fatal(err)
	}
	if outcome.Reason != simulation.Interrupted || outcome.Summary == nil || !outcome.Summary.Partial {
		t.Errorf("%+v", outcome)
	}
	if summary := read(t, filepath.Join(dir, "out", "summary.xml")); !strings.HasSuffix(summary, "</summary>\n") {
		t.Error("summary.xml is cut off")
	}
}

func TestPrintVersion(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"--print-version"}, func(name string) string {
		return map[string]string{"SUMO_BINARY": sumotest.Newest(t).Binary}[name]
	}, &stdout, &stderr)
	said := stdout.String()
	if code != simulation.ExitOK || !strings.HasPrefix(said, sumotest.Newest(t).Version) || strings.Count(said, "\n") != 1 {
		t.Errorf("%d: %q %q", code, stdout.String(), stderr.String())
	}
	missing := func(name string) string { return map[string]string{"SUMO_BINARY": "/no/sumo"}[name] }
	if code := execute(t.Context(), []string{"--print-version"}, missing, &stdout, &stderr); code != simulation.ExitInternalError {
		t.Errorf("%d without SUMO", code)
	}
}

func TestHoldWaitsAndEndsWellOnSIGTERM(t *testing.T) {
	t.Parallel()
	if err := command(t, t.TempDir(), "", "--hold", "1ms").Run(); err != nil {
		t.Errorf("at the end of its time it fails: %v", err)
	}
	cmd := command(t, t.TempDir(), "", "--hold", "1h")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("it does not say that it holds")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("on SIGTERM it fails: %v", err)
	}
}

// TestAListOfRuns has a keeper that stores everything at once.
func TestAListOfRuns(t *testing.T) {
	t.Parallel()
	const vehicle = `<vehicle id="v" depart="0"><route edges="AB"/></vehicle>`
	single := chunk.List{Generation: chunk.Generation, ID: "r1", Parallel: 1, Runs: []chunk.Run{{ID: "r1"}}, Single: true}
	several := single
	several.Single, several.Runs = false, []chunk.Run{{ID: "r1"}, {ID: "r2"}}
	for name, tc := range map[string]struct {
		demand string
		list   any
		args   []string
		code   int
		words  string // in the termination log
		copied bool   // whether the outcome is in the output folder
	}{
		"a single run": {demand: vehicle, list: single, copied: true},
		"a single run that fails": {
			demand: vehicle + vehicle, list: single, code: simulation.ExitInvalidScenario, words: "InvalidScenario: ", copied: true,
		},
		"several runs that fail": {demand: vehicle + vehicle, list: several},
		"no desk":                {list: several, args: []string{"--desk", ""}, code: simulation.ExitInternalError, words: "--desk is missing"},
		"an unknown wish": {
			list: map[string]any{"generation": chunk.Generation, "colour": "red"}, code: simulation.ExitInternalError, words: "colour",
		},
		"another generation": {list: chunk.List{Generation: 1}, code: simulation.ExitInternalError, words: "generation 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text, err := json.Marshal(tc.list)
			if err != nil {
				t.Fatal(err)
			}
			desk := filepath.Join(dir, "desk")
			stored := filepath.Join(desk, chunk.StoredFolder)
			if err := errors.Join(
				os.MkdirAll(stored, 0o755), os.WriteFile(filepath.Join(dir, "list.json"), text, 0o644),
				os.WriteFile(filepath.Join(desk, chunk.ReadyFile), []byte(`{"skip":[]}`), 0o644),
			); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				for {
					found, _ := filepath.Glob(filepath.Join(dir, "out", "*", simulation.OutcomeFile))
					for _, name := range found {
						_ = os.WriteFile(filepath.Join(stored, filepath.Base(filepath.Dir(name))), nil, 0o644)
					}
					select {
					case <-ended:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			}()
			cmd := command(t, dir, tc.demand, append([]string{"--runs", filepath.Join(dir, "list.json"), "--desk", desk}, tc.args...)...)
			out, _ := cmd.CombinedOutput()
			close(ended)
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d:\n%s", code, tc.code, out)
			}
			words, _ := os.ReadFile(filepath.Join(dir, "termination"))
			if !strings.Contains(string(words), tc.words) || (tc.words == "") != (len(words) == 0) {
				t.Errorf("the termination log says %q\n%s", words, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "out", simulation.OutcomeFile)); (err == nil) != tc.copied {
				t.Errorf("a copy of the outcome: %v\n%s", err, out)
			}
		})
	}
}

func TestPrintGeneration(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"--print-generation"}, func(string) string { return "" }, &stdout, &stderr)
	if code != simulation.ExitOK || stdout.String() != strconv.Itoa(chunk.Generation)+"\n" {
		t.Errorf("%d: %q %q", code, stdout.String(), stderr.String())
	}
}

// TestSumoWallStartsSUMO has sumo-run beside the real sumo-wall, and beside others that must not go unnoticed.
func TestSumoWallStartsSUMO(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	sumo := sumotest.Newest(t)
	confinement := func(t *testing.T, wall string) ([]byte, error) {
		t.Helper()
		dir := t.TempDir()
		processtest.WriteProgram(t, filepath.Join(dir, "sumo-run"), string(text))
		switch wall {
		case "":
		case "built":
			build := exec.Command("go", "build", "-o", dir, "../../confine/sumo-wall")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("building sumo-wall: %v: %s", err, out)
			}
		default:
			processtest.WriteProgram(t, filepath.Join(dir, "sumo-wall"), wall)
		}
		cmd := exec.Command(filepath.Join(dir, "sumo-run"), "--print-confinement", "--confinement", "require")
		cmd.Env = append(os.Environ(), asSumoRun+"=1", "SUMO_BINARY="+sumo.Binary, "SUMO_HOME="+sumo.Home)
		return cmd.Output()
	}
	alone, err := confinement(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if beside, err := confinement(t, "built"); err != nil || !bytes.Equal(beside, alone) {
		t.Errorf("with sumo-wall %s, without it %s: %v", beside, alone, err)
	}
	if out, err := confinement(t, "#!/bin/sh\nexit 3\n"); err == nil {
		t.Errorf("with another program in its place: %s", out)
	}
}
