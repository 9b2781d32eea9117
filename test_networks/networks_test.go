package networks_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
	"github.com/sumo-k8/sumo-k8/test_networks/internal/survey"
)

func TestReadyScenariosRunToTheEndAndAreWhatTheReadmeSays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	// Vehicles per configuration, as the tests of other packages count on.
	tests := map[string]map[string]int{
		"square":         {"square.sumocfg": 32},
		"cross":          {"cross.sumocfg": 560},
		"corridor":       {"corridor.sumocfg": 1530},
		"grid":           {"grid.sumocfg": 2000},
		"spider":         {"spider.sumocfg": 600},
		"roundabout":     {"roundabout.sumocfg": 450},
		"pedestrian_bus": {"pedestrian_bus.sumocfg": 306},
		"multi_config":   {"morning.sumocfg": 546, "evening.sumocfg": 417},
	}
	for _, name := range networks.Ready() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := survey.Run(t.Context(), filepath.Join("ready_to_use", name+".zip"), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, row := range rows {
				got[row.Config] = row.Vehicles
				if row.Unfinished != 0 {
					t.Errorf("%s: %d vehicles or persons did not arrive", row.Config, row.Unfinished)
				}
				// Urban traffic: slower is a jam that hides what a test looks for, faster is a mistake in units.
				if row.Speed < 5 || row.Speed > 14 {
					t.Errorf("%s: mean speed %.2f m/s is not that of a town", row.Config, row.Speed)
				}
				if !strings.Contains(string(readme), row.Facts()) {
					t.Errorf("README.md has no line %q; run generate.sh", row.Facts())
				}
			}
			if diff := cmp.Diff(tests[name], got); diff != "" {
				t.Errorf("vehicles by configuration (-want +got):\n%s", diff)
			}
		})
	}
	if len(networks.Ready()) != len(tests) {
		t.Errorf("ready_to_use has %v, this test knows %d scenarios", networks.Ready(), len(tests))
	}
}

func TestReadyZipNamesWhatThereIsWhenAskedForSomethingElse(t *testing.T) {
	t.Parallel()
	if _, err := networks.ReadyZip("square"); err != nil {
		t.Error(err)
	}
	_, err := networks.ReadyZip("circle")
	if err == nil || !strings.Contains(err.Error(), "square") {
		t.Errorf("ReadyZip(circle) = %v, want an error that lists the scenarios", err)
	}
}

func TestReadyZipsHoldNothingThatDiffersBetweenBuilds(t *testing.T) {
	t.Parallel()
	fixed := time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range networks.Ready() {
		data, err := networks.ReadyZip(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range open(t, data).File {
			if !f.Modified.Equal(fixed) || f.Mode() != 0o644 {
				t.Errorf("%s: %s is of %v with mode %v, want %v and 0644", name, f.Name, f.Modified, f.Mode(), fixed)
			}
			if content := read(t, f); bytes.Contains(content, []byte("generated on")) {
				t.Errorf("%s: %s contains the time of its generation", name, f.Name)
			}
		}
	}
}

func TestEveryBrokenFileHasItsExpectedAnswer(t *testing.T) {
	t.Parallel()
	entries, err := networks.BrokenFiles.ReadDir("broken")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if e.Name() != "expected.json" {
			files = append(files, e.Name())
		}
	}
	var listed []string
	for _, c := range networks.Broken() {
		listed = append(listed, c.File)
		if c.Status != 422 || c.Code != problem.ScenarioInvalid {
			t.Errorf("%s: status %d and code %q; an upload that can be read but not run is 422 %s", c.File, c.Status, c.Code,
				problem.ScenarioInvalid)
		}
		if len(c.Problems) == 0 {
			t.Errorf("%s: no problem is expected", c.File)
		}
		for _, p := range c.Problems {
			if p.Contains == "" || p.Contains != strings.ToLower(p.Contains) {
				t.Errorf("%s: the fragment %q must be a word in lower case", c.File, p.Contains)
			}
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(files, listed); diff != "" {
		t.Errorf("files in broken/ and in expected.json (-folder +json):\n%s", diff)
	}
}

// A location that does not exist would make a correct validator fail.
func TestExpectedLocationsAreInTheZips(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`^(.*):(\d+)$`)
	for _, c := range networks.Broken() {
		for _, p := range c.Problems {
			if p.Location == "" {
				continue
			}
			data, err := c.Zip()
			if err != nil {
				t.Fatal(err)
			}
			name, number := p.Location, 0
			if match := line.FindStringSubmatch(p.Location); match != nil {
				name = match[1]
				number, _ = strconv.Atoi(match[2])
			}
			files := open(t, data).File
			i := slices.IndexFunc(files, func(f *zip.File) bool { return f.Name == name })
			if i < 0 {
				t.Errorf("%s: there is no %s in it", c.File, name)
				continue
			}
			if number == 0 {
				continue
			}
			if content := read(t, files[i]); bytes.Count(content, []byte("\n")) < number {
				t.Errorf("%s: %s has fewer than %d lines", c.File, name, number)
			}
		}
	}
}

func TestMissingMatchesLocationAndMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want   networks.Problem
		detail string
		item   problem.Item
		found  bool
	}{
		"the same line": {networks.Problem{Location: "a.xml:4", Contains: "net"}, "", problem.Item{Location: "a.xml:4",
			Message: "No Net"}, true},
		"another line": {networks.Problem{Location: "a.xml:4", Contains: "net"}, "", problem.Item{Location: "a.xml:40",
			Message: "no net"}, false},
		"any line": {networks.Problem{Location: "a.xml", Contains: "net"}, "", problem.Item{Location: "a.xml:4",
			Message: "no net"}, true},
		"another file": {networks.Problem{Location: "a.xml", Contains: "net"}, "", problem.Item{Location: "a.xml.gz:4",
			Message: "no net"}, false},
		"another message": {networks.Problem{Location: "a.xml:4", Contains: "net"}, "", problem.Item{Location: "a.xml:4",
			Message: "no routes"}, false},
		"a file only in the detail": {networks.Problem{Location: "a.xml", Contains: "net"}, "a.xml: no net", problem.Item{}, false},
		"the archive, as an item":   {networks.Problem{Contains: "net"}, "", problem.Item{Message: "no net"}, true},
		"the archive, in detail":    {networks.Problem{Contains: "net"}, "No net.", problem.Item{Location: "a.xml"}, true},
		"not the whole archive":     {networks.Problem{Contains: "net"}, "", problem.Item{Location: "a.xml", Message: "no net"}, false},
	}
	for name, tt := range tests {
		c := networks.BrokenCase{Problems: []networks.Problem{tt.want}}
		if got := len(c.Missing(tt.detail, []problem.Item{tt.item})) == 0; got != tt.found {
			t.Errorf("%s: found = %v, want %v", name, got, tt.found)
		}
	}
}

// The reason for a warning that cannot be overlooked: SUMO exits 0.
func TestSUMOAloneDropsUnsortedVehicles(t *testing.T) {
	t.Parallel()
	data, err := networks.Case{File: "unsorted-flows.zip"}.Zip()
	if err != nil {
		t.Fatal(err)
	}
	sumotest.Each(t, func(t *testing.T, at release.Installation) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, open(t, data)); err != nil {
			t.Fatal(err)
		}
		out, err := sumotest.Command(t, at, "sumo", "-c", filepath.Join(dir, "s.sumocfg"), "--no-step-log").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "sorted by departure time, ignoring 'b'") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestEveryCaseHasItsExpectedAnswer(t *testing.T) {
	t.Parallel()
	entries, err := networks.CaseFiles.ReadDir("cases")
	if err != nil {
		t.Fatal(err)
	}
	var files, listed []string
	for _, e := range entries {
		if e.Name() != "expected.json" {
			files = append(files, e.Name())
		}
	}
	for _, c := range networks.Cases() {
		listed = append(listed, c.File)
		for _, p := range append(c.Problems, c.Warnings...) {
			if p.Contains == "" || p.Contains != strings.ToLower(p.Contains) {
				t.Errorf("%s: the fragment %q must be a word in lower case", c.File, p.Contains)
			}
		}
	}
	if diff := cmp.Diff(files, slices.Compact(listed)); diff != "" {
		t.Errorf("files in cases/ and in expected.json (-folder +json):\n%s", diff)
	}
}

func TestBombsAreSmallPackedAndLargeUnpacked(t *testing.T) {
	t.Parallel()
	for file, least := range map[string]uint64{"zip_bomb.zip": 900, "overlapping_entries.zip": 200} {
		data, err := networks.BrokenCase{File: file}.Zip()
		if err != nil {
			t.Fatal(err)
		}
		var unpacked uint64
		for _, f := range open(t, data).File {
			unpacked += f.UncompressedSize64
		}
		if ratio := unpacked / uint64(len(data)); ratio < least {
			t.Errorf("%s unpacks to %d times its size, want %d or more", file, ratio, least)
		}
	}
}

func open(t *testing.T, data []byte) *zip.Reader {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read returns the text of an entry, unpacked twice when it is packed with gzip.
func read(t *testing.T, f *zip.File) []byte {
	t.Helper()
	entry, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	var r io.Reader = entry
	if path.Ext(f.Name) == ".gz" {
		if r, err = gzip.NewReader(entry); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(fmt.Errorf("read %s: %w", f.Name, err))
	}
	return data
}
