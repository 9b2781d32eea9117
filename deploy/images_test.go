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

var update = flag.Bool("update", false, "write SUMO_IMAGES into the manifests again")

// TestTheManifestsNameTheImagesOfTheVersionsOnOffer also writes them: a new version of SUMO is a line in pkg/sumo/release.
func TestTheManifestsNameTheImagesOfTheVersionsOnOffer(t *testing.T) {
	t.Parallel()
	// Clusters that exist for tests and trials get two versions unless they are asked for all: an image each costs them time.
	// Those of kind run on laptops of either architecture.
	lab := []release.Release{release.Oldest(), release.Newest()}
	kind := []release.Release{release.On("arm64")[0], release.Newest()}
	for name, c := range map[string]struct {
		versions                 []release.Release
		repository, tag, between string
	}{
		"base/settings.env":                            {release.All(), "dev.local/sumo:", "", ""},
		"overlays/lab/kustomization.yaml":              {lab, "dev.local/sumo:", "", ""},
		"overlays/lab-all-versions/kustomization.yaml": {release.All(), "dev.local/sumo:", "", ""},
		"overlays/kind/kustomization.yaml":             {kind, "dev.local/sumo:", "", ""},
		"overlays/production/kustomization.yaml":       {release.All(), "registry.example.org/sumo-k8/sumo:", "-v1.0.0", "\\\n        "},
	} {
		var images []string
		for _, r := range c.versions {
			images = append(images, r.Version+"="+c.repository+r.Version+c.tag)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Up to the end of the line, or of the lines that a backslash joins.
		setting := regexp.MustCompile(`SUMO_IMAGES=(?:[^\\\s"]|\\\n +)*`)
		if !setting.Match(got) {
			t.Errorf("%s does not set SUMO_IMAGES", name)
		}
		want := setting.ReplaceAllLiteral(got, []byte("SUMO_IMAGES="+c.between+strings.Join(images, ","+c.between)))
		if *update && !bytes.Equal(got, want) {
			err = os.WriteFile(name, want, 0o644)
			got = want
		}
		if diff := cmp.Diff(string(want), string(got)); err != nil || diff != "" {
			t.Errorf("%s (-want +got): run make generate: %v\n%s", name, err, diff)
		}
	}
}
