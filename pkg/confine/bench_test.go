package confine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// startAsReleased has programs started by sumo-wall.
func startAsReleased(b *testing.B) {
	b.Helper()
	file := filepath.Join(confinetest.OpenDir(b), companion)
	build := exec.CommandContext(b.Context(), "go", "build", "-o", file, "./sumo-wall")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building it: %v: %s", err, out)
	}
	before := starter
	starter = func() string { return file }
	b.Cleanup(func() { starter = before })
}

// BenchmarkStart is what a wall costs a run: the difference to a program that is started without one.
func BenchmarkStart(b *testing.B) {
	startAsReleased(b)
	program, err := exec.LookPath("true")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for _, above := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(above, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	private := filepath.Join(dir, "private")
	for _, name := range []string{filepath.Join(dir, "run"), filepath.Join(private, "run")} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	wall := func(folder string, abi int) Wall {
		return Wall{
			Profile: SUMO, Read: []string{program, "/usr/lib", "/lib", "/lib64", "/usr/share"}, Write: []string{filepath.Join(folder, "run")},
			LandlockABI: abi,
		}
	}
	await := func(b *testing.B, p *process.Process, err error) {
		if err == nil {
			err = p.Wait()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("without a wall", func(b *testing.B) {
		for b.Loop() {
			p, err := process.Start(exec.Command(program), process.Options{})
			await(b, p, err)
		}
	})
	for _, c := range []struct {
		name string
		wall Wall
	}{
		{"Landlock", wall(dir, 0)},
		{"in a private folder", wall(private, 0)}, // as root: with a mount namespace
		{"without Landlock", wall(dir, NoLandlock)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(program)
				cmd.Dir, cmd.Env = c.wall.Write[0], []string{}
				p, _, err := Start(cmd, c.wall, Require)
				await(b, p, err)
			}
		})
		b.Run(c.name+", the second time", func(b *testing.B) {
			var kept Keep
			defer kept.Close()
			for b.Loop() {
				cmd := exec.Command(program)
				cmd.Dir, cmd.Env = c.wall.Write[0], []string{}
				p, _, err := kept.Start(cmd, c.wall, Require)
				await(b, p, err)
			}
		})
	}
}

// BenchmarkStartTree is what a wall around a program and its children costs a run.
func BenchmarkStartTree(b *testing.B) {
	startAsReleased(b)
	program, err := exec.LookPath("true")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for _, above := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(above, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name     string
		loopback bool
		abi      int
	}{
		{"without sockets", false, 0}, {"with sockets", true, 0}, {"on an older kernel", false, 5}, {"without Landlock", false, NoLandlock},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(program)
				cmd.Dir, cmd.Env = dir, []string{}
				tree, _, err := StartTree(cmd, Wall{
					Profile: Program, Read: []string{program, "/usr/lib", "/lib", "/lib64", "/usr/share"}, Write: []string{dir},
					LandlockABI: c.abi, Loopback: c.loopback,
				})
				if err == nil {
					err = tree.Wait()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
