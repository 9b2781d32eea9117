package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/config"
)

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
