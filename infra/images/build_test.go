package main

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// TestTheDockerfilesMakeTheSameImages compares what the Dockerfiles say beyond files with what we build.
func TestTheDockerfilesMakeTheSameImages(t *testing.T) {
	t.Parallel()
	recipes := append(recipesFor(release.All()), packagedRecipe("1.15"))
	for _, sumo := range release.All() {
		recipes = append(recipes, pythonRecipe(sumo))
	}
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			name := r.source
			if r.python.Minor > 0 {
				name = "python"
			}
			content, err := os.ReadFile(name + ".Dockerfile")
			if err != nil {
				t.Fatal(err)
			}
			dockerfile := strings.NewReplacer(
				"${VERSION}", r.sumo, "${DEBIAN}", r.suite, "${PYTHON}", strconv.Itoa(r.python.Minor),
			).Replace(string(content))
			_, final, _ := strings.Cut(dockerfile, "\nFROM scratch\n")
			i := r.image(contents{}, "")
			var want []string
			if len(i.Env) > 0 {
				want = append(want, "ENV "+strings.Join(i.Env, " "))
			}
			for key, value := range i.Labels {
				want = append(want, "LABEL "+key+"="+value)
			}
			want = append(want, "USER "+i.User, `ENTRYPOINT ["`+strings.Join(i.Entrypoint, `", "`)+`"]`)
			got := strings.Split(strings.TrimSpace(final), "\n")
			got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "COPY ") || strings.HasPrefix(line, "ARG ") })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the image's settings (-ours +%s.Dockerfile):\n%s", name, diff)
			}
			for _, part := range []string{
				"-o /out/usr/bin/ ./" + strings.Join(r.programs, " ./") + " ",
				"COPY infra/images/" + r.source + ".packages ",
				"/images slim " + r.source + " / /layer.tar",
				"docker build -f infra/images/" + name + ".Dockerfile",
				" .\n",
				"FROM debian:" + r.suite + " AS debian\n",
			} {
				if !strings.Contains(dockerfile, part) {
					t.Errorf("the Dockerfile does not say %q", part)
				}
			}
		})
	}
}

func TestEveryImageHasAnArchiveAndAnEntryPointOfItsOwn(t *testing.T) {
	t.Parallel()
	archives := map[string]string{}
	recipes, err := chosen([]string{wheel.All, wheel.All + suffix})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recipes {
		if other, taken := archives[r.file()]; taken {
			t.Errorf("%s and %s have the same archive", r.name, other)
		}
		archives[r.file()] = r.name
	}
	want := map[string]string{"functions-dev.tar": "dev.local/functions:dev"}
	for _, r := range release.On(runtime.GOARCH) {
		want["sumo-"+r.Version+".tar"] = "dev.local/sumo:" + r.Version
		want["sumo-"+r.Version+"-python.tar"] = "dev.local/sumo:" + r.Version + "-python"
	}
	if diff := cmp.Diff(want, archives); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}
}

func TestTheSameProgramAndLayerGiveTheSameDigestInEveryFolder(t *testing.T) {
	t.Parallel()
	r := recipesFor([]release.Release{release.Newest()})[1]
	var digests [2]string
	for n := range digests {
		dir := t.TempDir()
		layer := filepath.Join(dir, "layer.tar")
		for _, pkg := range r.programs {
			if err := compile(t.Context(), dir, module+pkg); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Create(layer)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := oci.WriteLayer(f, oci.Files(oci.File{Path: "/usr/bin/sumo", Mode: 0o755, Data: []byte("code")})); err != nil {
			t.Fatal(err)
		}
		digest, err := r.image(contents{debian: []string{layer}}, dir).WriteFile(filepath.Join(dir, r.file()))
		if err != nil {
			t.Fatal(err)
		}
		digests[n] = digest
	}
	if digests[0] != digests[1] {
		t.Errorf("the same image has the digests %s and %s", digests[0], digests[1])
	}
}

func TestTheCacheKeepsLayersOfOneImageApartFromThoseOfAnother(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for _, s := range slices.Collect(maps.Keys(sources)) {
		key, err := cacheKey(s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := cacheKey(s); err != nil || again != key {
			t.Errorf("the key of %s is %s, then %s (%v)", s, key, again, err)
		}
		keys[key] = s
	}
	if len(keys) != len(sources) {
		t.Errorf("sources share a key: %v", keys)
	}
}
