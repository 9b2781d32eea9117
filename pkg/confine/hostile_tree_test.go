package confine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
)

// TestNothingGetsThroughTheWallOfATree runs the program of TestNothingGetsThroughTheWall behind the wall of trees. What that lets pass is
// listed here.
func TestNothingGetsThroughTheWallOfATree(t *testing.T) {
	t.Parallel()
	confinetest.AsOrdinaryUser(t)
	program := confinetest.Hostile(t)
	targets := openTargets(t)
	for name, abi := range treeWalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			secret := filepath.Join(r.dir, "secret")
			if err := os.WriteFile(secret, []byte("untouched"), 0o666); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(secret)
			if err != nil {
				t.Fatal(err)
			}
			tries := append(targets.tries(t), "read "+secret, "write "+secret, "change "+secret, "change ../secret",
				"write "+filepath.Join(r.dir, "new"), "become /bin/true",
				"read /proc/"+strconv.Itoa(os.Getpid())+"/environ", "read /proc/"+strconv.Itoa(os.Getpid())+"/cmdline")
			if err := os.WriteFile(filepath.Join(r.input, "tries.txt"), []byte(strings.Join(tries, "\n")), 0o666); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd := &exec.Cmd{Path: program, Args: []string{"hostile"}, Dir: r.run, Env: []string{}, Stdout: &out, Stderr: &out}
			tree, held, err := StartTree(cmd, Wall{
				Profile: Program, Program: program, Read: []string{program, r.input, "/usr/lib", "/lib", "/lib64"}, Write: []string{r.run},
				LandlockABI: abi, Loopback: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			t.Logf("%s\n%s", held, out.String())
			var done []string
			for line := range strings.Lines(out.String()) {
				if held.Landlock == 0 && strings.HasPrefix(line, "DONE: list ") {
					continue // of a file system in which there is nothing but the way to its own folder
				}
				if what, found := strings.CutPrefix(line, "DONE: "); found {
					done = append(done, strings.TrimSpace(what))
				}
			}
			want := []string{
				"bind", "listen", "make a folder", "processes: a process", "processes: a process with an odd signal", "processes: signal its group",
				"remove tries.txt", "remove what it made", "shared memory", "socket INET stream", "socketpair",
			}
			if runtime.GOARCH == "amd64" {
				want = append(want, "processes: fork")
			}
			if !(policy{}).signalsAsked(held) {
				want = append(want, "processes: signal everything") // that it may signal
			}
			for _, path := range []string{"tries.txt", "../scenario/tries.txt", "../secret", secret} { // pretended
				want = append(want, "chmod "+path, "set the times of "+path)
			}
			slices.Sort(done)
			slices.Sort(want)
			if diff := cmp.Diff(want, done); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !strings.Contains(out.String(), "hostile: all tried\n") || !strings.Contains(out.String(), "descriptors: []\n") {
				t.Errorf("it did not try all, or has descriptors")
			}
			after, err := os.Stat(secret)
			if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("the file beside its folder was %v, is %v, %v", before, after, err)
			}
			if text, err := os.ReadFile(secret); err != nil || string(text) != "untouched" {
				t.Errorf("the file beside its folder has %q, %v", text, err)
			}
			if diff := cmp.Diff([]string{"run", "scenario", "secret"}, names(t, r.dir)); diff != "" {
				t.Errorf("above its folder (-want +got):\n%s", diff)
			}
		})
	}
}
