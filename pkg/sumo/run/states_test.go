package run

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// TestAsManyStatesStayAsSUMOKeeps compares the states that a run leaves with those that SUMO leaves on a desk.
func TestAsManyStatesStayAsSUMOKeeps(t *testing.T) {
	t.Parallel()
	const keep = `<save-state.period value="20"/><save-state.period.keep value="2"/>`
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, options := range map[string]string{
			"the last two":    keep,
			"all":             `<save-state.period value="20"/>`,
			"with others":     keep + `<save-state.times value="15,20,50"/>`,
			"in a folder":     keep + `<save-state.prefix value="s/x"/><save-state.suffix value=".xml"/>`,
			"with a prefix":   keep + `<output-prefix value="p_"/>`,
			"by the clock":    keep + `<human-readable-time value="true"/>`,
			"with short ones": keep + `<step-length value="0.5"/><save-state.times value="20.5"/>`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := road(t, options+`<end value="110"/><tripinfo-output value="t.xml"/>`, someDemand)
				desk := t.TempDir()
				for name, text := range f {
					write(t, filepath.Join(desk, name), text)
				}
				mkdir(t, filepath.Join(desk, "s"))
				cmd := sumotest.Command(t, sumo, "sumo", "-c", "run.sumocfg")
				cmd.Dir = desk
				if said, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, said)
				}
				root, err := os.OpenRoot(desk)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				want, err := listFiles(root)
				if err != nil {
					t.Fatal(err)
				}
				want = slices.DeleteFunc(want, func(name string) bool { return f[name] != "" })
				got := perform(t.Context(), newRunOf(t, sumo), f, scenario.Config{})
				if !got.Succeeded() {
					t.Fatalf("%s: %s\n%s", got.Reason, got.Message, got.read(t, simulation.LogFile))
				}
				left := slices.DeleteFunc(got.ownNames(t), func(name string) bool { return name == "statistics.xml" || name == "summary.xml" })
				if diff := cmp.Diff(want, left); diff != "" {
					t.Errorf("(-SUMO +we):\n%s", diff)
				}
			})
		}
	})
}
