package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/confine/confinetest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// takenOver is sumo-run with a program in SUMO's place that tries what a SUMO compromised by an upload could try.
func takenOver(t *testing.T) Settings {
	t.Helper()
	settings, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	hostile, wrapper := confinetest.Hostile(t), filepath.Join(t.TempDir(), "sumo-run")
	script := fmt.Sprintf("#!/bin/sh\nSUMO_BINARY='%s' exec '%s' \"$@\"\n", hostile, settings.SumoRun)
	processtest.WriteProgram(t, wrapper, script)
	settings.SumoRun = wrapper
	return settings
}

func TestATakenOverSUMOReachesNothing(t *testing.T) {
	t.Setenv("MAX_OUTPUT_MIB", "64")
	s, running := startWith(t, takenOver(t))
	c := s.register(t)
	run := func(tries ...string) (text string, reason simulation.Reason, message string) {
		t.Helper()
		var submitted struct {
			ID string `json:"job_id"`
		}
		zip, err := networks.Reading("square", "tries.txt", strings.Join(tries, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		c.post(t, [][2]string{{"scenario_id", "taken-over"}, {"memory_gi", "1"}, {"@sumo_files", string(zip)}}).want(t, 200).into(t, &submitted)
		j := c.finish(t, submitted.ID)
		if j.Status != job.Failed {
			t.Errorf("the job ended %s", j.Status)
		}
		return string(c.call(t, "GET", "/jobs/"+submitted.ID+"/results/log.txt").want(t, 200).body), j.Reason, j.Message
	}

	// Everything that it must not reach exists.
	store, err := url.Parse(running.cfg.S3Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(running.dir, "logs", "service.log"))
	if err != nil {
		t.Fatal(err)
	}
	sockets := regexp.MustCompile(`"sockets":"([^"]+)"`).FindSubmatch(log)
	if sockets == nil {
		t.Fatalf("the log does not name Postgres' address:\n%s", log)
	}
	socket := filepath.Join(string(sockets[1]), ".s.PGSQL.5432")
	tries := []string{"become /bin/sh", fmt.Sprintf("read /proc/%d/environ", os.Getpid())}
	for _, name := range []string{"endpoint.json", "logs/service.log", "postgres/data/PG_VERSION"} {
		path := filepath.Join(running.dir, name)
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		tries = append(tries, "read "+path, "change "+path)
	}
	for what, address := range map[string][2]string{
		"unix": {"unix", socket}, "tcp store": {"tcp", store.Host}, "tcp service": {"tcp", strings.TrimPrefix(s.url, "http://")},
	} {
		connection, err := net.Dial(address[0], address[1])
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		connection.Close()
		tries = append(tries, address[0]+" "+strings.Replace(address[1], ":", " ", 1))
	}

	text, _, _ := run(tries...)
	if n := strings.Count(text, "\nrefused: "); n < 170+len(tries) || !strings.Contains(text, "hostile: all tried") {
		t.Errorf("only %d tries:\n%s", n, text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "DONE") {
			t.Error(strings.TrimSpace(line))
		}
	}
	t.Logf("\n%s", text)

	// 1 GiB, plus the engine's allowance for memory that is allocated and never touched.
	if text, _, _ := run("memory"); !regexp.MustCompile(`refused: memory \(cannot allocate memory\) after 1[12]\d\d MiB`).MatchString(text) {
		t.Errorf("memory_gi=1 is not enforced:\n%s", text)
	}
	if text, reason, message := run("deleted", "disk", "wait"); reason != simulation.OutputTooLarge || !strings.Contains(message, "64 MiB") ||
		!strings.Contains(message, "grown-by-hostile") || !strings.Contains(text, "refused: disk . (function not implemented)") {
		t.Errorf("disk: ended with %s: %s\n%s", reason, message, text)
	}
}

func TestConfinementIsWhatSumoRunPrints(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sumo-run")
	for name, c := range map[string]struct {
		script string
		want   simulation.Confinement
		fails  string
	}{
		"its answer": {
			`[ "$1" = --print-confinement ] && echo '{"landlock":7,"namespace":false,"filter":true,"user":true}'`,
			simulation.Confinement{Landlock: 7, Filter: true, User: true}, "",
		},
		"the machine cannot": {
			`[ "$2" = --confinement=require ] && echo 'it has no Landlock' >&2; exit 70`, simulation.Confinement{},
			"it has no Landlock. CONFINEMENT=prefer",
		},
		"it says other things": {`echo hello`, simulation.Confinement{}, "invalid character"},
	} {
		processtest.WriteProgram(t, program, "#!/bin/sh\n"+c.script+"\n")
		got, err := confinement(t.Context(), program, nil, confine.Require)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: the error is %v, want %q", name, err, c.fails)
		}
	}
}
