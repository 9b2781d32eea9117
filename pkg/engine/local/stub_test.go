package local_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// asStub makes this test binary stand in for sumo-run where a test needs runs to end as SUMO cannot be made to: the scenario is the script
// that each run is.
const asStub = "SUMO_RUN_STUB"

// prelude defines for scripts: finish REASON leaves an outcome as sumo-run does, and wait_for FILE waits until a test has made it.
const prelude = `
finish() {
	printf '{"reason":"%s","message":"reported by the run","started_at":"2026-05-04T12:00:00Z","finished_at":"2026-05-04T12:00:01Z"}' \
		"$1" >"$outcome"
}
wait_for() {
	until [ -e "$1" ]; do sleep 0.01; done
}
. "$0"
`

// stub goes through the runs of a list as package chunk describes.
type stub struct {
	list                                              chunk.List
	scenario, work, out, desk, words, confine, output string
	stopped                                           chan struct{}
	handed                                            sync.WaitGroup // the runs that have ended, over to the keeper
}

func runStub() int {
	var s stub
	var runs string
	flags := flag.NewFlagSet("sumo-run", flag.ContinueOnError)
	flags.StringVar(&runs, "runs", "", "")
	flags.StringVar(&s.scenario, "scenario", "", "")
	flags.String("unpacked", "", "")
	flags.StringVar(&s.work, "work", "", "")
	flags.StringVar(&s.out, "out", "", "")
	flags.StringVar(&s.desk, "desk", "", "")
	flags.StringVar(&s.words, "termination-log", "", "")
	flags.StringVar(&s.confine, "confinement", "", "")
	flags.StringVar(&s.output, "output", "", "")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	text, err := os.ReadFile(runs)
	if err == nil {
		err = json.Unmarshal(text, &s.list)
	}
	if err == nil {
		_, err = flock.New(filepath.Join(s.out, chunk.LockFile)).TryLock()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	s.stopped = make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		close(s.stopped)
	}()
	return s.perform()
}

func exists(names ...string) bool {
	_, err := os.Stat(filepath.Join(names...))
	return err == nil
}

func (s *stub) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

func (s *stub) perform() int {
	for !exists(s.desk, chunk.ReadyFile) {
		time.Sleep(2 * time.Millisecond)
	}
	var ready chunk.Ready
	text, err := os.ReadFile(filepath.Join(s.desk, chunk.ReadyFile))
	if err == nil {
		err = json.Unmarshal(text, &ready)
	}
	if err != nil {
		return 2
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	code := simulation.ExitOK
	turns := make(chan chunk.Run)
	lane := func() {
		for r := range turns {
			ended := s.run(r)
			mu.Lock()
			code = max(code, ended)
			mu.Unlock()
		}
	}
	lanes := s.list.Parallel
	for range lanes {
		work.Go(lane)
	}
	for _, r := range s.list.Runs {
		if s.isStopped() || slices.Contains(ready.Skip, r.ID) {
			continue
		}
		for taken := false; !taken; {
			select {
			case turns <- r:
				taken = true
			case <-time.After(5 * time.Millisecond):
				text, _ := os.ReadFile(filepath.Join(s.desk, chunk.LanesFile))
				wanted, _ := strconv.Atoi(string(text))
				for ; lanes < wanted; lanes++ {
					work.Go(lane)
				}
			}
		}
	}
	close(turns)
	work.Wait()
	s.handed.Wait()
	if s.isStopped() {
		return simulation.ExitInterrupted
	}
	if s.list.Single {
		return code
	}
	return simulation.ExitOK
}

func (s *stub) cancelled(r chunk.Run) bool { return exists(s.desk, chunk.CancelFolder, r.ID) }

// run carries out one run and returns its exit code.
func (s *stub) run(r chunk.Run) int {
	if s.isStopped() || s.cancelled(r) {
		return simulation.ExitOK
	}
	work, out := filepath.Join(s.work, r.ID), filepath.Join(s.out, r.ID)
	if exists(out, simulation.OutcomeFile) { // an earlier sumo-run has ended it
		s.handOver(r, out)
		return simulation.ExitOK
	}
	outcome := filepath.Join(work, simulation.OutcomeFile)
	if err := errors.Join(os.MkdirAll(work, 0o700), os.Mkdir(out, 0o700)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	options, _ := json.Marshal(r.Options)
	environment := os.Environ()
	environment = slices.DeleteFunc(environment, func(v string) bool { return v == asStub+"=1" })
	set := ""
	for name, value := range map[string]string{
		"id": r.ID, "work": work, "out": out, "outcome": outcome, "options": string(options),
		"timeout": strconv.Itoa(r.TimeoutSeconds), "progress": out + chunk.ProgressSuffix, "termination_log": s.words,
		"confinement": s.confine, "memory": strconv.FormatInt(r.Memory, 10), "output": s.output,
	} {
		set += name + "='" + value + "'\n"
	}
	cmd := exec.Command("/bin/sh", "-c", set+prelude, s.scenario)
	cmd.Env, cmd.Stderr = environment, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ended := make(chan struct{})
	go func() {
		stop := s.stopped
		for {
			select {
			case <-ended:
				return
			case <-stop:
				stop = nil
				_ = cmd.Process.Signal(syscall.SIGTERM)
			case <-time.After(5 * time.Millisecond):
				if s.cancelled(r) {
					_ = cmd.Process.Signal(syscall.SIGTERM)
				}
			}
		}
	}()
	_ = cmd.Wait()
	close(ended)
	var o simulation.Outcome
	text, readErr := os.ReadFile(outcome)
	ws, waited := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case readErr == nil && json.Unmarshal(text, &o) == nil:
	case waited && ws.Signal() == syscall.SIGTERM && (s.isStopped() || s.cancelled(r)): // before the script could set its trap
		o.Reason = simulation.Interrupted
		text, _ = json.Marshal(o)
		_ = os.WriteFile(outcome, text, 0o600)
	case waited && ws.Signaled(): // sumo-run itself ends like this
		_ = syscall.Kill(os.Getpid(), ws.Signal())
		select {}
	default: // and like this
		os.Exit(cmd.ProcessState.ExitCode())
	}
	if o.Reason == simulation.Interrupted && s.cancelled(r) {
		o.Reason, o.Message = simulation.Cancelled, simulation.Cancelled.Message()
		text, _ = json.Marshal(o)
		_ = os.WriteFile(outcome, text, 0o600)
	}
	if o.Reason == simulation.Interrupted && !s.list.Single {
		return simulation.ExitInterrupted
	}
	if err := os.Rename(outcome, filepath.Join(out, simulation.OutcomeFile)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	_ = os.Remove(out + chunk.ProgressSuffix)
	s.handOver(r, out)
	return o.Reason.ExitCode()
}

// handOver removes what a run has left once it is stored.
func (s *stub) handOver(r chunk.Run, out string) {
	s.handed.Go(func() {
		for !exists(s.desk, chunk.StoredFolder, r.ID) {
			time.Sleep(2 * time.Millisecond)
		}
		if err := os.RemoveAll(out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	})
}
