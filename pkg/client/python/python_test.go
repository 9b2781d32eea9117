// Package python holds the Python package against the real service.
package python

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service/servicetest"
)

//go:generate go run ./generate ../../../functions/internal/app/openapi.json src/sumo_k8

var update = flag.Bool("update", false, "write docs/python.ipynb with its new outputs")

func TestMain(m *testing.M) { servicetest.Main(m) }

// python runs the interpreter with the packages that requirements.txt pins, and returns what it prints.
func python(t testing.TB, environment []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", args...)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python3 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// packages is the folder of the pinned packages.
func packages(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../../infra/python.sh", "install")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	folder, err := cmd.Output()
	if err != nil {
		t.Fatalf("installing the packages of the tests: %v\n%s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(folder))
}

func TestTheCodeIsCleanAndTyped(t *testing.T) {
	t.Parallel()
	installed := packages(t)
	environment := []string{"PYTHONPATH=" + installed, "RUFF_NO_CACHE=true", "MYPY_CACHE_DIR=" + installed + ".mypy"}
	python(t, environment, "-m", "ruff", "check", ".")
	python(t, environment, "-m", "ruff", "format", "--check", ".")
	python(t, environment, "-m", "mypy")
	python(t, environment, "-m", "mypy", "--python-version", "3.9", "src")
}

// The tests run with the wheel, installed as users do.
func TestTheClientAgainstTheService(t *testing.T) {
	t.Parallel()
	installed := packages(t)
	dist, site := t.TempDir(), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../../infra/python.sh", "build", dist).CombinedOutput(); err != nil {
		t.Fatalf("building the wheel: %v\n%s", err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(dist, "*.whl"))
	if err != nil || len(wheels) != 1 {
		t.Fatalf("the build made the wheels %v (%v), and not one", wheels, err)
	}
	python(t, []string{"PYTHONPATH=" + installed}, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts",
		"--root-user-action", "ignore", "--no-index", "--no-deps", "--target", site, wheels[0])
	if licences, err := filepath.Glob(filepath.Join(site, "*.dist-info", "licenses", "LICENSE")); err != nil || len(licences) != 1 {
		t.Errorf("the wheel has the licences %v (%v), and not one", licences, err)
	}

	server := servicetest.Start(t)
	docs, err := filepath.Abs("../../../docs")
	if err != nil {
		t.Fatal(err)
	}
	environment := []string{
		"PYTHONPATH=" + site + string(os.PathListSeparator) + installed, "PYTHONDONTWRITEBYTECODE=1", "DOCS=" + docs,
		"SUMO_K8_URL=" + server.URL, "SUMO_K8_ADMIN_KEY=" + server.AdminKey,
	}
	if *update {
		t.Log(python(t, append(environment, "UPDATE=1"), "-m", "pytest", "-k", "tutorial"))
		return
	}
	out := python(t, environment, "-m", "pytest", "-rs", "--durations", "5")
	if strings.Contains(out, "skipped") {
		t.Errorf("pytest left tests out:\n%s", out)
	}
	t.Log(out)
}
