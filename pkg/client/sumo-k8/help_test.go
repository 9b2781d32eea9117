package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
)

// TestHelp keeps the help of every command, so that a change of it is seen in the review.
func TestHelp(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	var show func(*cobra.Command, []string)
	show = func(c *cobra.Command, path []string) {
		if c.Name() == "completion" || c.Name() == "help" {
			return // cobra's own
		}
		fmt.Fprintf(&all, "$ sumo-k8 %s\n", strings.Join(append(path, "--help"), " "))
		if code := run(t.Context(), append(path, "--help"), nil, &all, io.Discard, func(string) string { return "" }); code != exitOK {
			t.Errorf("%v --help: exit code %d", path, code)
		}
		fmt.Fprintln(&all)
		for _, below := range c.Commands() {
			show(below, append(path[:len(path):len(path)], below.Name()))
		}
	}
	show((&app{}).root(), nil)
	golden := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("the help has changed; go test ./pkg/client/sumo-k8 -run TestHelp -update keeps it (-was +is):\n%s", diff)
	}
}

func TestMistakesInTheCommandLine(t *testing.T) {
	t.Parallel()
	zip := person(t).file("a.zip", []byte("zip"))
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no such command":          {[]string{"sbumit"}, "submit"},
		"no such command of group": {[]string{"tenants", "limits"}, `unknown command "limits"`},
		"no such flag":             {[]string{"ls", "--all"}, "unknown flag: --all"},
		"no job":                   {[]string{"get"}, "accepts 1 arg(s), received 0"},
		"no such format":           {[]string{"ls", "-o", "yaml"}, "neither text nor json"},
		"nothing to submit":        {[]string{"submit"}, "nothing to run"},
		"two things to submit":     {[]string{"submit", zip, "--scenario", "abc"}, "keep one"},
		"no such time":             {[]string{"ls", "--since", "yesterday"}, `--since "yesterday" is not a time`},
		"a number that is none":    {[]string{"submit", zip, "--seed", "x"}, "--seed"},
		"not a number":             {[]string{"submit", zip, "--scale", "NaN"}, "--scale NaN is not a number"},
		"an endless number":        {[]string{"submit", zip, "--replay", "--replay-box", "0,0,1,inf"}, "--replay-box"},
		"fewer than no jobs":       {[]string{"ls", "-n", "-1"}, "--limit -1"},
		"no core":                  {[]string{"submit", zip, "--cpu", "0"}, "--cpu 0"},
		"no memory":                {[]string{"submit", zip, "--memory-gi", "0"}, "--memory-gi 0"},
		"no time":                  {[]string{"submit", zip, "--timeout", "0s"}, "--timeout 0s"},
		"no line":                  {[]string{"logs", "x", "--tail", "0"}, "--tail 0"},
		"no time between moments":  {[]string{"submit", zip, "--replay-period", "0"}, "--replay-period 0"},
		"a misspelt baseline": {
			[]string{"study", "run", zip, "--seeds", "1:2", "--baseline", `{"value": {"demand": 1}, "variant": "a"}`}, "--baseline",
		},
		"columns of no table": {[]string{"table", "x", "--columns", "id"}, "--columns is for one table"},
		"no service":          {[]string{"submit", zip}, "no service is named; run sumo-k8 login, or set SUMO_K8_URL"},
		"no address":          {[]string{"ls", "--url", "localhost:8080"}, "no API key for localhost:8080"},
		"no key at login":     {[]string{"login", "http://localhost"}, "no API key was given"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			says(t, person(t).ends(exitUsage, tt.args...).stderr, tt.want)
		})
	}
}

// fullDisk takes a few bytes.
type fullDisk struct{ left int }

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	if f.left -= n; n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestAnAnswerThatIsLostIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"version"}, {"config"}, {"completion", "bash"}} {
		for _, space := range []int{0, 10} {
			var stderr bytes.Buffer
			code := run(t.Context(), args, nil, &fullDisk{space}, &stderr, func(string) string { return "" })
			if code != exitTrouble || !strings.Contains(stderr.String(), "no space left") {
				t.Errorf("%v with room for %d bytes: exit code %d, %q", args, space, code, stderr.String())
			}
		}
	}
}

func TestTheNameOfAFileSaysItsFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, file, want string }{
		{"", "-", "csv"}, {"", "runs", "csv"}, {"", "out.d/runs", "csv"}, {"", "runs.txt", "csv"},
		{"", "runs.csv", "csv"}, {"", "a/runs.parquet", "parquet"}, {"", "runs.2026.json", "json"},
		{"csv", "runs.parquet", "csv"}, {"parquet", "-", "parquet"}, {"ods", "runs.csv", ""},
	} {
		if got, err := formatOf(tt.asked, tt.file, tableFormats); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("--format %q --file %s: %q, %v, want %q", tt.asked, tt.file, got, err, tt.want)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"2d":                   now.AddDate(0, 0, -2),
		"2026-03-01":           time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local),
		"2026-03-01T02:03:04Z": time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC),
	} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(size(0), ", ", size(1023), ", ", size(1024), ", ", size(5<<20), ", ", size(3<<50))
	if want := "0 B, 1023 B, 1.0 KiB, 5.0 MiB, 3072.0 TiB"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatOthersNamedCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out, err: &out}
	a.table([][]string{{"a\x1b[31mb", "c\td"}})
	a.note("x\x1b]0;title\x07\ny\u202ez")
	if diff := cmp.Diff("a[31mb  c d\nx]0;title\nyz\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestDifferencesAreShownInPercentWhereThatIsPossible(t *testing.T) {
	t.Parallel()
	number := func(v float64) *float64 { return &v }
	got := metricRow(client.ComparedMetric{Name: "mean_speed", Unit: "m/s", Values: []client.ComparedValue{
		{Value: number(10)}, {Value: number(9), Difference: number(-1), Relative: number(-0.1)}, {}, {Value: number(3), Difference: number(3)},
		{Value: number(1), Difference: number(-9)},
	}})
	want := []string{"mean speed of the trips", "m/s", "10.00", "9.00", "-10.0 %", "-", "-", "3.00", "+3.00", "1.00", "-9.00"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

func TestPagesStopsWhereItIsTold(t *testing.T) {
	t.Parallel()
	const entries = 450
	for _, tt := range []struct{ most, want, calls int }{{0, 450, 3}, {1, 1, 1}, {200, 200, 1}, {201, 201, 2}, {1000, 450, 3}} {
		got, calls := 0, 0
		next, err := pages(tt.most, func(_ string, limit int) (int, string, error) {
			n := min(limit, entries-got)
			got, calls = got+n, calls+1
			if got == entries {
				return n, "", nil
			}
			return n, "more", nil
		})
		if err != nil || got != tt.want || calls != tt.calls || (next == "") != (got == entries) {
			t.Errorf("%d asked for: %d in %d calls, next %q, %v", tt.most, got, calls, next, err)
		}
	}
}
