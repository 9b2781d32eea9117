package e2e

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// What the controllers of these tests do is written in them.
var (
	//go:embed testdata/green.py
	greenProgram string
	//go:embed testdata/hostile.py
	hostileProgram string
)

func with(t *testing.T, network string, files map[string]string) string {
	t.Helper()
	zip, err := networks.With(network, files)
	if err != nil {
		t.Fatal(err)
	}
	return string(zip)
}

func (c *tenant) result(t *testing.T, id, name string) string {
	t.Helper()
	status, raw, err := c.send(t, "GET", "/jobs/"+id+"/results/"+name, map[string]string{"Authorization": "Bearer " + c.key}, nil)
	if err != nil || status != http.StatusOK {
		t.Errorf("result %s of job %s: %d, %v", name, id, status, err)
	}
	return string(raw)
}

func controller(file string, args ...string) map[string]string {
	text, _ := json.Marshal(simulation.Controller{File: file, Args: args, Interface: simulation.TraCI}) // strings
	return map[string]string{"controller": string(text), "seed": "7"}
}

// testControllers runs programs in pods: over TraCI, whose port nobody else reaches, and with libsumo. Both give the same numbers.
func testControllers(t *testing.T, c *cluster) {
	a := c.register(t, `, "controllers": true`)
	scenario := with(t, "square", map[string]string{"green.py": greenProgram})
	fields := controller("green.py", "--seed", "{seed}", "--out", "{out}", "--config", "{config}", "--pause", "0")
	overTraCI := a.submit(t, scenario, fields)
	fields["controller"] = strings.Replace(fields["controller"], `"traci"`, `"libsumo"`, 1)
	inProcess := a.submit(t, scenario, fields)
	var said []string
	for _, id := range []string{overTraCI.JobID, inProcess.JobID} {
		j := a.finish(t, id)
		if j.Status != job.Succeeded || j.Confinement == nil || !j.Confinement.Filter {
			t.Fatalf("ended %s, confined by %+v: %s", j.Status, j.Confinement, why(j))
		}
		said = append(said, a.result(t, id, "out/green.txt"))
	}
	if said[0] != said[1] || !strings.Contains(said[0], "switched") {
		t.Errorf("over TraCI the program leaves %q, and with libsumo %q", said[0], said[1])
	}

	waiting := a.submit(t, scenario, controller("green.py", "--seed", "1", "--out", "{out}", "--config", "{config}", "--pause", "60"))
	a.start(t, waiting.JobID)
	var listening []string
	until(t, "SUMO listens", func() (bool, string) {
		listening = listenersInPods(t, "sumo")
		return len(listening) > 0, ""
	})
	pod := c.podIP(t, a.namespace, "workflows.argoproj.io/completed=false")
	for _, address := range listening {
		host, port, _ := net.SplitHostPort(address)
		if host != "127.0.0.1" {
			t.Errorf("in the pod of the run, something listens on %s", address)
		}
		if connection, err := net.DialTimeout("tcp", net.JoinHostPort(pod, port), 3*time.Second); err == nil {
			connection.Close()
			t.Errorf("port %s of the run is reached from outside its pod", port)
		}
	}
	a.call(t, "DELETE", "/jobs/"+waiting.JobID, http.StatusOK, nil)
	if j := a.finish(t, waiting.JobID); j.Status != job.Cancelled {
		t.Errorf("the waiting job ended %s: %s", j.Status, why(j))
	}
}

// listenersInPods are the addresses on which something listens in the network of a program that runs in a pod.
func listenersInPods(t *testing.T, program string) (addresses []string) {
	t.Helper()
	for _, process := range inPods(t, program) {
		for _, table := range []string{"tcp", "tcp6"} {
			text, _ := os.ReadFile(filepath.Join(process, "net", table)) // a process may end meanwhile
			for _, found := range listener.FindAllSubmatch(text, -1) {
				var host [4]byte
				var port int
				if n, _ := fmt.Sscanf(string(found[1]), "%02x%02x%02x%02x:%04x", &host[3], &host[2], &host[1], &host[0], &port); n == 5 {
					addresses = append(addresses, net.JoinHostPort(net.IP(host[:]).String(), fmt.Sprint(port)))
				} else {
					addresses = append(addresses, table+" "+string(found[1]))
				}
			}
		}
	}
	return addresses
}

// listener is a line of /proc/net/tcp about a socket in state LISTEN.
var listener = regexp.MustCompile(`(?m)^ *\d+: ([0-9A-F]+:[0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A `)

// testHostileController runs a program that tries what it must not do, and goes on until it is cancelled.
func testHostileController(t *testing.T, c *cluster) {
	a := c.register(t, `, "controllers": true`)
	postgres := regexp.MustCompile(`@([^/]+)/`).FindStringSubmatch(c.settings["DATABASE_URL"])[1]
	store := strings.TrimPrefix(c.settings["S3_ENDPOINT"], "http://")
	api := c.kubectl(t, "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	dns := c.kubectl(t, "get", "service", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].spec.clusterIP}")
	scenario := with(t, "square", map[string]string{"hostile.py": hostileProgram})
	j := a.submit(t, scenario, controller("hostile.py", postgres, store, strings.TrimSpace(api), strings.TrimSpace(dns)))
	a.await(t, j.JobID, func(now rest.Job) bool {
		if now.Status.Terminal() {
			t.Fatalf("it ended %s: %s", now.Status, why(now))
		}
		status, log, err := c.send(t, "GET", "/jobs/"+j.JobID+"/logs", map[string]string{"Authorization": "Bearer " + a.key}, nil)
		return err == nil && status == http.StatusOK && bytes.Contains(log, []byte("all tried"))
	})
	a.call(t, "DELETE", "/jobs/"+j.JobID, http.StatusOK, nil)
	if ended := a.finish(t, j.JobID); ended.Status != job.Cancelled {
		t.Errorf("it ended %s: %s", ended.Status, why(ended))
	}
	log := a.result(t, j.JobID, simulation.LogFile)
	for line := range strings.Lines(log) {
		if strings.Contains(line, "DONE") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if n := strings.Count(log, "refused: "); n < 15 {
		t.Errorf("only %d tries:\n%s", n, log)
	}
	t.Log(log)
	honest := a.submit(t, ready(t, "square"), nil)
	if ended := a.finish(t, honest.JobID); ended.Status != job.Succeeded {
		t.Errorf("a job after it ended %s: %s", ended.Status, why(ended))
	}
}

// testAssignThenStudy has duaIterate find routes, keeps them as a scenario, and asks a study of two variants about it.
func testAssignThenStudy(t *testing.T, c *cluster) {
	a := c.register(t, `, "controllers": true, "max_cpu": 2`)
	tool, _ := json.Marshal(simulation.Tool{ // strings
		Name: "duaIterate", KeepAs: "assigned",
		Args: []string{"-n", "cross.net.xml", "-t", "trips.xml", "-l", "10", "--begin", "0", "--end", "600"},
	})
	trips := `<routes>`
	for i, pair := range [][2]string{{"west_in", "east_out"}, {"north_in", "south_out"}} {
		trips += fmt.Sprintf(`<trip id="t%d" depart="%d" from=%q to=%q/>`, i, i, pair[0], pair[1])
	}
	scenario := with(t, "cross", map[string]string{"trips.xml": trips + "</routes>"})
	j := a.finish(t, a.submit(t, scenario, map[string]string{"tool": string(tool)}).JobID)
	if j.Status != job.Succeeded || j.KeptScenario == "" {
		t.Fatalf("it ended %s, kept as %q with %q: %s", j.Status, j.KeptScenario, j.Warnings, why(j))
	}
	var s rest.Study
	body := fmt.Sprintf(`{"name": "e2e", "variants": [{"name": "base", "scenario": %q}], "axes": [{"name": "demand", "set": "scale", "values": [0.5, 1]}],
		"replications": {"seeds": "1:2"}, "run": {"memory_gi": 1, "config_file": "009/iteration_009.sumocfg"}}`, j.KeptScenario)
	c.call(t, "POST", "/studies", map[string]string{"Authorization": "Bearer " + a.key, "Content-Type": "application/json"},
		strings.NewReader(body), http.StatusOK, &s)
	if s = a.answered(t, s.StudyID); s.Status != study.Succeeded || s.Runs.Succeeded != 4 {
		t.Errorf("the study ended %s with %+v: %s", s.Status, s.Runs, s.Message)
	}
}
