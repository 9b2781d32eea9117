package confine

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// TestLineageIsThatOfAllProcesses starts children in the main thread, in one that has ended, and through another process.
func TestLineageIsThatOfAllProcesses(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := process.Start(&exec.Cmd{Path: python, Stdout: in, Args: []string{"python3", "-c", `
import os, subprocess, sys, threading, time
subprocess.Popen(["sleep", "50"])
thread = threading.Thread(target=lambda: subprocess.Popen(["sleep", "50"]))
thread.start()
thread.join()
if os.fork() == 0:
    subprocess.Popen(["sleep", "50"])
    print("ready", flush=True)
time.sleep(50)
`}}, process.Options{})
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		_ = p.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	found, err := lineage(p.Pid())
	if err != nil {
		t.Fatal(err)
	}
	all, err := tasks()
	if err != nil {
		t.Fatal(err)
	}
	pids := func(tree []task) (pids []int) {
		for _, t := range tree {
			pids = append(pids, t.pid)
		}
		slices.Sort(pids)
		return pids
	}
	if diff := cmp.Diff(pids(descendants(p.Pid(), all)), pids(found)); diff != "" || len(found) != 4 {
		t.Errorf("%d processes (-all +lineage):\n%s", len(found), diff)
	}
	if nobody, err := lineage(found[0].pid); err != nil || len(nobody) != 0 {
		t.Errorf("a process without children has %v, %v", nobody, err)
	}
}

func TestAProcessThatHasEndedSinceItWasReadIsNoticed(t *testing.T) {
	t.Parallel()
	sleep := exec.Command("sleep", "50")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleep.Process.Kill() })
	was, err := taskOf(sleep.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if tree := []task{was, {pid: was.pid, state: 'Z'}}; anyEnded(tree) {
		t.Error("one that lives, or had ended before, counts as ended meanwhile")
	}
	if err := sleep.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = sleep.Wait()
	if !anyEnded([]task{was}) {
		t.Error("one that has ended is not noticed")
	}
}
