package deploy

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

//go:generate go test . -run TestTheManifestsNameTheImagesOfTheVersionsOnOffer -update

var update = flag.Bool("update", false, "write SUMO_IMAGES and CONTROLLER_IMAGES into the manifests again")

// TestTheManifestsNameTheImagesOfTheVersionsOnOffer also writes them: a new version of SUMO is a line in pkg/sumo/release.
func TestTheManifestsNameTheImagesOfTheVersionsOnOffer(t *testing.T) {
	t.Parallel()
	// Clusters that exist for tests and trials get two versions unless they are asked for all: an image each costs them time.
	// Those of kind run on laptops of either architecture.
	lab := []release.Release{release.Oldest(), release.Newest()}
	kind := []release.Release{release.On("arm64")[0], release.Newest()}
	// Controllers and tools have the image that make images builds unless it is asked for more.
	python := []release.Release{release.Newest()}
	for _, c := range []struct {
		setting, name            string
		versions                 []release.Release
		repository, tag, between string
	}{
		{"SUMO_IMAGES", "base/settings.env", release.All(), "dev.local/sumo:", "", ""},
		{"SUMO_IMAGES", "overlays/lab/kustomization.yaml", lab, "dev.local/sumo:", "", ""},
		{"SUMO_IMAGES", "overlays/lab-all-versions/kustomization.yaml", release.All(), "dev.local/sumo:", "", ""},
		{"SUMO_IMAGES", "overlays/kind/kustomization.yaml", kind, "dev.local/sumo:", "", ""},
		{"SUMO_IMAGES", "overlays/production/kustomization.yaml", release.All(), "registry.example.org/sumo-k8/sumo:", "-v1.0.0", "\\\n        "},
		{"CONTROLLER_IMAGES", "overlays/lab/kustomization.yaml", python, "dev.local/sumo:", "-python", ""},
		{"CONTROLLER_IMAGES", "overlays/production/kustomization.yaml", python, "registry.example.org/sumo-k8/sumo:", "-python-v1.0.0", ""},
	} {
		var images []string
		for _, r := range c.versions {
			images = append(images, r.Version+"="+c.repository+r.Version+c.tag)
		}
		got, err := os.ReadFile(c.name)
		if err != nil {
			t.Fatal(err)
		}
		// Up to the end of the line, or of the lines that a backslash joins.
		setting := regexp.MustCompile(`\b` + c.setting + `=(?:[^\\\s"]|\\\n +)*`)
		if !setting.Match(got) {
			t.Errorf("%s does not set %s", c.name, c.setting)
		}
		want := setting.ReplaceAllLiteral(got, []byte(c.setting+"="+c.between+strings.Join(images, ","+c.between)))
		if *update && !bytes.Equal(got, want) {
			err = os.WriteFile(c.name, want, 0o644)
			got = want
		}
		if diff := cmp.Diff(string(want), string(got)); err != nil || diff != "" {
			t.Errorf("%s (-want +got): run make generate: %v\n%s", c.name, err, diff)
		}
	}
}
