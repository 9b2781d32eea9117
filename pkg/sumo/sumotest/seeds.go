package sumotest

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// StudyOf is the network and the number of seeds of a test's study: a few of a fast one, unless SUMO_K8_STUDY_OF in the environment asks
// for others, such as corridor:200.
func StudyOf(t testing.TB, network string, seeds int) (string, int) {
	t.Helper()
	asked := os.Getenv("SUMO_K8_STUDY_OF")
	if asked == "" {
		return network, seeds
	}
	network, number, _ := strings.Cut(asked, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("SUMO_K8_STUDY_OF=%s is not network:seeds", asked)
	}
	return network, n
}

// varying are the parts of SUMO's statistics that differ from run to run: the configuration, and how long the run took.
var varying = regexp.MustCompile(`(?s)<!--.*?-->|<performance [^>]*>`)

// Comparable leaves out of SUMO's statistics what differs between runs of the same scenario with the same seed.
func Comparable(statistics []byte) string { return string(varying.ReplaceAll(statistics, nil)) }

// ByHand runs the only configuration of a zip with each seed by the newest SUMO alone, two at a time, as a person would at a desk, and
// returns the statistics by seed. The arguments are SUMO's, beside those for the seed and outputs.
func ByHand(t testing.TB, scenario string, seeds []int64, arguments ...string) map[int64]string {
	t.Helper()
	at := Newest(t)
	folder, err := os.MkdirTemp("", "byhand")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	archive, err := zip.NewReader(strings.NewReader(scenario), int64(len(scenario)))
	if err == nil {
		err = os.CopyFS(folder, archive)
	}
	if err != nil {
		t.Fatal(err)
	}
	configs, err := filepath.Glob(filepath.Join(folder, "*.sumocfg"))
	if err != nil || len(configs) != 1 {
		t.Fatalf("configurations %v, %v", configs, err)
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, 2)
	all := map[int64]string{}
	for _, seed := range seeds {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			file := filepath.Join(folder, fmt.Sprintf("statistics-%d.xml", seed))
			cmd := exec.CommandContext(t.Context(), at.Binary, append([]string{
				"-c", configs[0], "--seed", strconv.FormatInt(seed, 10), "--statistic-output", file, "--tripinfo-output", file + ".trips",
				"--summary-output", file + ".steps", "--no-step-log",
			}, arguments...)...)
			cmd.Env = append(os.Environ(), "SUMO_HOME="+at.Home)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("seed %d: %v: %s", seed, err, out)
				return
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all[seed] = Comparable(text)
		})
	}
	work.Wait()
	return all
}
