package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/config"
)

func TestProgramsHaveImagesAndNodesOfTheirOwn(t *testing.T) {
	t.Parallel()
	p, err := provisioner(config.Config{
		S3Endpoint: "http://10.0.0.1:9000", SumoImages: map[string]string{"1.26": "a", "1.28": "b"},
		ControllerImages: map[string]string{"1.28": "c-python"},
		NodeSelector:     map[string]string{"pool": "simulation"}, ControllerNodeSelector: map[string]string{"sumo-k8.io/controllers": "true"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var of []string // templates that have the image, and those that have the label
	for _, write := range p.Templates {
		text, err := write("sumo-acme")
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, part := range []string{
			"sumo-1-26-g", "sumo-1-28-g", "sumo-1-28-python-g", "c-python",
			"sumo-k8.io/controllers", `"pool":"simulation"`,
		} {
			if strings.Contains(string(text), part) {
				found += part + " "
			}
		}
		of = append(of, found)
	}
	want := []string{
		`sumo-1-26-g "pool":"simulation" `, `sumo-1-28-g "pool":"simulation" `,
		`sumo-1-28-python-g c-python sumo-k8.io/controllers "pool":"simulation" `,
	}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAVersionRunsOnNodesThatItHasAWheelFor(t *testing.T) {
	t.Parallel()
	images := map[string]string{"1.15": "i", "1.18": "i", "1.28": "i"}
	pool := map[string]string{"pool": "simulation"}
	arm := map[string]string{"kubernetes.io/arch": "arm64"}
	for name, tt := range map[string]struct {
		version      string
		chosen, want map[string]string
	}{
		"wheels for both":            {"1.28", pool, pool},
		"a wheel for amd64 alone":    {"1.18", pool, map[string]string{"pool": "simulation", "kubernetes.io/arch": "amd64"}},
		"without the operator's":     {"1.18", nil, map[string]string{"kubernetes.io/arch": "amd64"}},
		"the operator's choice":      {"1.18", arm, arm},
		"an image of the operator's": {"1.15", pool, pool},
	} {
		got := nodeSelector(config.Config{SumoImages: images, NodeSelector: tt.chosen}, tt.version)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
