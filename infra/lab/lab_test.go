package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testLayout is a lab in the test's own folder. None of its programs run.
func testLayout(t *testing.T) layout {
	t.Helper()
	dir := t.TempDir()
	return layout{cache: dir, run: filepath.Join(dir, "run"), logs: filepath.Join(dir, "logs")}
}

func TestALayoutWithoutRoomForSocketsIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		cache string
		fits  bool
	}{
		"usual":    {"/root/.cache", true},
		"too deep": {"/" + strings.Repeat("deep/", 20), false},
	} {
		t.Setenv("XDG_CACHE_HOME", test.cache)
		l, err := newLayout()
		switch {
		case test.fits && err != nil:
			t.Errorf("%s: %v", name, err)
		case !test.fits && (err == nil || !strings.Contains(err.Error(), "XDG_CACHE_HOME")):
			t.Errorf("%s: %+v is accepted, or the error names no fix: %v", name, l, err)
		}
	}
}

func TestALabThatHasEventingKeepsIt(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	has := func() bool {
		l, err := newLayout()
		if err != nil {
			t.Fatal(err)
		}
		built := false
		for _, c := range l.components() {
			built = built || c.Name == "eventing"
		}
		if built != l.eventing {
			t.Errorf("a lab with eventing %t builds it: %t", l.eventing, built)
		}
		return built
	}
	if has() {
		t.Error("a lab that did not ask for Eventing has it")
	}
	l, err := newLayout()
	if err == nil {
		err = errors.Join(os.MkdirAll(l.run, 0o700), os.WriteFile(l.eventingMark(), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if !has() {
		t.Error("the next up forgets Eventing")
	}
}

func TestTheSourceIsFoundFromBelow(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(here))
	var found [2]layout
	if err := found[0].findSource(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	if err := found[1].findSource(); err != nil {
		t.Fatal(err)
	}
	if found[0].source != root || found[1].source != root {
		t.Errorf("the source of %s is taken for %q and %q", root, found[0].source, found[1].source)
	}
	t.Chdir(t.TempDir())
	var lost layout
	if err := lost.findSource(); err == nil {
		t.Errorf("outside of a clone %q is taken for the source", lost.source)
	}
}

func TestEveryProgramIsBuilt(t *testing.T) {
	t.Parallel()
	l := testLayout(t)
	l.eventing = true
	built := programs{}
	for _, c := range l.components() {
		for _, p := range c.Programs {
			built[p.Name] = "/built/" + p.Name
		}
	}
	stages, err := stages(l, built, credentials{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, stage := range stages {
		for _, s := range stage {
			if s.Command[0] == "" {
				t.Errorf("%s runs a program that no component builds", s.Name)
			}
			if names[s.Name] {
				t.Errorf("there are two programs called %s", s.Name)
			}
			names[s.Name] = true
		}
	}
	for _, i := range images {
		if built[i.program] == "" {
			t.Errorf("the image %s is of a program that no component builds", i.name)
		}
	}
	for _, name := range last {
		if !names[name] {
			t.Errorf("down waits for %s, which up does not start", name)
		}
	}
}

// TestManifestsUseWhatIsBuilt compares the versions in the manifests, in layout.go and in the modules.
func TestManifestsUseWhatIsBuilt(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, i := range images {
		made[i.name] = true
	}
	whole := regexp.MustCompile(`dev\.local/[a-z-]+:v[0-9.]+`)
	parts := regexp.MustCompile(`newName: (dev\.local/[a-z-]+), newTag: (v[0-9.]+)`)
	used := 0
	err := fs.WalkDir(manifests, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := manifests.ReadFile(path)
		names := whole.FindAllString(string(text), -1)
		for _, name := range parts.FindAllStringSubmatch(string(text), -1) {
			names = append(names, name[1]+":"+name[2])
		}
		for _, name := range names {
			used++
			if !made[name] {
				t.Errorf("%s names the image %s, which is not made", path, name)
			}
		}
		return err
	})
	if err != nil || used < len(images)-1 {
		t.Errorf("%d images are named in the manifests, error %v", used, err)
	}
	for file, want := range map[string]string{
		"modules/kubernetes/go.mod": "k8s.io/kubernetes " + kubernetesVersion,
		"modules/argo/go.mod":       "github.com/argoproj/argo-workflows/v3 " + argoVersion,
		"modules/coredns/go.mod":    "github.com/coredns/coredns " + coreDNSVersion,
		"modules/knative/go.mod":    "knative.dev/serving " + knativeVersion,
		"modules/eventing/go.mod":   "knative.dev/eventing " + eventingVersion,
		"modules/traefik/go.mod":    "github.com/traefik/traefik/v3 " + traefikVersion,
		"../gateway/traefik.yaml":   "image: traefik:" + traefikVersion + "\n",
		"manifests/cluster.yaml":    "clusterIP: " + dnsService + "\n",
	} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q, error %v", file, want, err)
		}
	}
}

func TestCredentialsStay(t *testing.T) {
	t.Parallel()
	l := testLayout(t)
	if err := os.MkdirAll(l.run, 0o700); err != nil {
		t.Fatal(err)
	}
	var seen [2]credentials
	for i := range seen {
		var err error
		if seen[i], err = openCredentials(l); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0] != seen[1] {
		t.Error("the credentials changed under the servers that have them")
	}
	text, err := os.ReadFile(l.environment())
	if err != nil {
		t.Fatal(err)
	}
	want := "KUBECONFIG=" + l.kubeconfig("admin") + "\nS3_ENDPOINT=http://10.244.0.1:7070\nS3_ACCESS_KEY=" + seen[0].S3AccessKey +
		"\nS3_SECRET_KEY=" + seen[0].S3SecretKey + "\nDATABASE_URL=postgres://postgres:" + seen[0].DatabasePassword +
		"@10.244.0.1:5432/sumo_k8?sslmode=disable\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestUserKubeconfig(t *testing.T) {
	t.Parallel()
	l := testLayout(t)
	if _, err := userKubeconfig(l, "reader"); err == nil {
		t.Error("a lab that is not up hands out a kubeconfig")
	}
	if err := certify(l); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"admin": "admin", "reader": "user-reader", "apiserver": "user-apiserver"} {
		path, err := userKubeconfig(l, name)
		if err != nil || path != l.kubeconfig(want) {
			t.Errorf("the kubeconfig of %s is %s, error %v", name, path, err)
		}
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "user: "+want+"}") {
			t.Errorf("the kubeconfig of %s is\n%s\nerror %v", name, text, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../ca", "a/b", ".hidden"} {
		if path, err := userKubeconfig(l, name); err == nil {
			t.Errorf("the name %q is accepted: %s", name, path)
		}
	}
}
