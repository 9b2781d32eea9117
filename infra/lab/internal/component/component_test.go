package component_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/component"
)

// module makes a module with one program that prints a word.
func module(t *testing.T) component.Component {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nvar word = \"plain\"\n\nfunc main() { print(word) }\n")
	return component.Component{Name: "example", Module: dir, Programs: []component.Program{{Name: "say", Package: "."}}}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuildOnceAndAgainWhenAnythingChanges(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	c := module(t)
	goVersion, err := component.GoVersion(t.Context(), c.Module)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		change func()
		built  bool
		says   string
	}{
		{"the first time", func() {}, true, "plain"},
		{"again", func() {}, false, "plain"},
		{"with another flag", func() { c.Flags = "-X main.word=flagged" }, true, "flagged"},
		{"with another source", func() {
			c.Flags = ""
			write(t, filepath.Join(c.Module, "main.go"), "package main\n\nfunc main() { print(\"changed\") }\n")
		}, true, "changed"},
		{"with a test beside it", func() { write(t, filepath.Join(c.Module, "main_test.go"), "package main\n") }, false, "changed"},
		{"in another clone", func() {
			clone := t.TempDir()
			if err := os.CopyFS(clone, os.DirFS(c.Module)); err != nil {
				t.Fatal(err)
			}
			c.Module = clone
		}, false, "changed"},
	} {
		step.change()
		dir, built, err := c.Build(t.Context(), cache, goVersion)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if built != step.built {
			t.Errorf("%s: built is %v", step.name, built)
		}
		if said, err := exec.Command(filepath.Join(dir, "say")).CombinedOutput(); err != nil || string(said) != step.says {
			t.Errorf("%s: it says %q, error %v; want %q", step.name, said, err, step.says)
		}
	}
}

func TestAFailedBuildLeavesNothingThatLooksComplete(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	c := module(t)
	source := filepath.Join(c.Module, "main.go")
	write(t, source, "package main\n\nfunc main() { undefined() }\n")
	for range 2 {
		if dir, _, err := c.Build(t.Context(), cache, "go"); err == nil {
			t.Fatalf("a module that does not compile was built in %s", dir)
		}
	}
}

func TestKeyFollowsFromTheCompiler(t *testing.T) {
	t.Parallel()
	c := module(t)
	keys := map[string]bool{}
	for _, version := range []string{"go1.26.7", "go1.26.8", "go1.26.8"} {
		key, err := c.Key(version)
		if err != nil {
			t.Fatal(err)
		}
		keys[key] = true
	}
	if len(keys) != 2 {
		t.Errorf("two compilers give %d keys", len(keys))
	}
}

func TestFoldersOfModulesAreKeptBesideThePrograms(t *testing.T) {
	t.Parallel()
	c := module(t)
	if err := os.MkdirAll(filepath.Join(c.Module, "config", "core"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(c.Module, "config", "core", "deployment.yaml"), "kind: Deployment\n")
	c.Keep = map[string]string{"manifests/serving": "example//config/core"}
	dir, _, err := c.Build(t.Context(), t.TempDir(), "go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "manifests", "serving", "deployment.yaml"))
	if err != nil || string(text) != "kind: Deployment\n" {
		t.Errorf("the manifest that was kept is %q, error %v", text, err)
	}
	c.Keep = map[string]string{"manifests": "example//elsewhere"}
	if dir, _, err := c.Build(t.Context(), t.TempDir(), "go"); err == nil {
		t.Errorf("a folder that the module does not have is kept in %s", dir)
	}
}

func TestProgramsOfOneModuleAreBuiltTogetherUnderTheirOwnNames(t *testing.T) {
	t.Parallel()
	c := module(t)
	c.Programs = nil
	for _, word := range []string{"one", "two"} {
		folder := filepath.Join(c.Module, "cmd", word)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "main.go"), "package main\n\nfunc main() { print(\""+word+"\") }\n")
		c.Programs = append(c.Programs, component.Program{Name: "say-" + word, Package: "example/cmd/" + word})
	}
	dir, _, err := c.Build(t.Context(), t.TempDir(), "go")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		if said, err := exec.Command(filepath.Join(dir, "say-"+word)).CombinedOutput(); err != nil || string(said) != word {
			t.Errorf("say-%s says %q, error %v", word, said, err)
		}
	}
}
