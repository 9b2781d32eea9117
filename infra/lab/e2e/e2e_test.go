package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// TestTheServiceOnACluster shares one installation among its subtests, each with its own tenants.
func TestTheServiceOnACluster(t *testing.T) {
	c := find(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *cluster)
	}{
		{"a job runs while nothing else does", testFromZero},
		{"a job's log is read and its results are fetched", testOneJob},
		{"the end of a job reaches a webhook", testWebhooks},
		{"a job chooses its version of SUMO", testVersions},
		{"a failing scenario says why", testFailure},
		{"a cancelled run keeps what it wrote", testCancel},
		{"limits hold runs back", testLimits},
		{"every ready network succeeds for two tenants", testReadyNetworks},
		{"a deleted tenant leaves no namespace", testDeletion},
		{"a foreign namespace is not taken", testForeignNamespace},
		{"operators see the cluster and warm it up", testOperators},
		{"each function has its rights and no more", testRights},
		{"a run reaches nothing but its files", testConfinement},
		{"a SUMO that was taken over reaches nothing but its folders", testTakenOver},
		{"a controller runs by TraCI and with libsumo", testControllers},
		{"a hostile controller is refused, and is cancelled", testHostileController},
		{"a tool assigns routes, which a study then varies", testAssignThenStudy},
		{"a run is watched while its pod works, and after the pod is lost", testRecording},
		{"a question asked twice is answered from the cache, with tables that pods have made", testTablesAndCache},
		{"runs reach no private network for the sake of a store's name", testReachOfRuns},
		{"each function reaches what it works with and no more", testReachOfFunctions},
		{"the operator's key is given to those who check it", testAdminKey},
		{"the public address has only what is for clients", testPublicAddress},
		{"what was changed in a tenant's namespace is repaired", testDrift},
		{"a job whose workflow was deleted runs again", testVanished},
		{"manifests that are applied again change nothing", testApplyTwice},
		{"a rollout fails no request and loses no line", testRollout},
		{"a PingSource calls reconcile in place of the CronJob", testPingSource},
		// The following subtests disturb all others.
		{"twenty jobs outlive Argo's controller", testControllerKilled},
		{"jobs outlive the API server and Postgres", testRestarts},
		{"a study outlives what is killed under it", testStudyKilled},
		{"a job outlives its node", testNodeGone},
	} {
		t.Run(part.name, func(t *testing.T) {
			defer func() { // before the test's own tenants are deleted
				if t.Failed() {
					c.explain(t)
				}
			}()
			part.test(t, c)
		})
	}
}

func testOneJob(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.submit(t, ready(t, "square"), nil)
	j = a.finish(t, j.JobID)
	seen := time.Now()
	if j.Status != job.Succeeded || j.Progress != 1 || j.Version == "" {
		t.Fatalf("ended %s with progress %v: %s", j.Status, j.Progress, why(j))
	}
	t.Logf("square.zip: %s", a.split(t, j, seen))
	var snapshot struct{ Logs string }
	a.call(t, "GET", "/jobs/"+j.JobID+"/logs", http.StatusOK, &snapshot)
	if !strings.Contains(snapshot.Logs, "Inserted: 32") {
		t.Errorf("the log is %q", snapshot.Logs)
	}
	var results struct {
		Files []struct {
			Name, URL string
			Size      int64
		}
	}
	a.call(t, "GET", "/jobs/"+j.JobID+"/results", http.StatusOK, &results)
	names := map[string]bool{}
	for _, f := range results.Files {
		names[f.Name] = true
		response, err := http.Get(f.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.ContentLength != f.Size {
			t.Errorf("%s: %s, %d bytes of %d", f.Name, response.Status, response.ContentLength, f.Size)
		}
	}
	for _, want := range []string{simulation.LogFile, simulation.SummaryFile, "summary.xml", "tripinfo.xml", "statistics.xml"} {
		if !names[want] {
			t.Errorf("the results lack %s: %v", want, names)
		}
	}
}

// testVersions runs square on each version that the cluster offers: the oldest and the newest. With SUMO_K8_ALL_VERSIONS, which make
// e2e-versions sets, these are all, and it runs every ready network.
func testVersions(t *testing.T, c *cluster) {
	a := c.register(t, "")
	want, scenarios := []string{release.Oldest().Version, release.Newest().Version}, []string{"square"}
	if os.Getenv("SUMO_K8_ALL_VERSIONS") != "" {
		want, scenarios = nil, networks.Ready()
		for _, r := range release.All() {
			want = append(want, r.Version)
		}
	}
	var list struct {
		Versions []struct {
			Version   string
			Installed bool
		}
	}
	a.call(t, "GET", "/versions", http.StatusOK, &list)
	var offered []string
	for _, v := range list.Versions {
		if v.Installed {
			offered = append(offered, v.Version)
		}
	}
	if diff := cmp.Diff(want, offered); diff != "" {
		t.Fatalf("the cluster offers other versions (-want +got):\n%s", diff)
	}
	for _, version := range offered {
		for _, network := range scenarios {
			fields := map[string]string{"sumo_version": version}
			if network == "multi_config" {
				fields["config_file"] = "morning.sumocfg"
			}
			j := a.submit(t, ready(t, network), fields)
			if j = a.finish(t, j.JobID); j.Status != job.Succeeded || !strings.HasPrefix(j.Version, version+".") {
				t.Errorf("%s ended %s, run by SUMO %q, want %s: %s", network, j.Status, j.Version, version, why(j))
			}
		}
	}
}

func testReadyNetworks(t *testing.T, c *cluster) {
	tenants := []*tenant{c.register(t, `, "max_concurrent_jobs": 2`), c.register(t, `, "max_concurrent_jobs": 2`)}
	type submitted struct {
		by   *tenant
		name string
		id   string
	}
	var all []submitted
	for _, network := range networks.Ready() {
		for _, by := range tenants {
			fields := map[string]string{}
			if network == "multi_config" {
				fields["config_file"] = "morning.sumocfg"
			}
			all = append(all, submitted{by, network, by.submit(t, ready(t, network), fields).JobID})
		}
	}
	for _, s := range all {
		if j := s.by.finish(t, s.id); j.Status != job.Succeeded {
			t.Errorf("%s ended %s: %s", s.name, j.Status, why(j))
		}
	}
	tenants[0].call(t, "GET", "/jobs/"+all[1].id, http.StatusNotFound, nil)
}

func testLimits(t *testing.T, c *cluster) {
	a := c.register(t, `, "max_concurrent_jobs": 2`)
	var ids []string
	for range 5 {
		ids = append(ids, a.submit(t, ready(t, "square"), nil).JobID)
	}
	for _, id := range ids {
		a.await(t, id, func(j rest.Job) bool {
			// The pod of a job whose end is on record may be closing, but runs no SUMO any longer.
			pods := c.kubectl(t, "get", "pods", "-n", a.namespace, "-o",
				`jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[?(@.name=="main")].state}{"\n"}{end}`)
			if n := strings.Count(pods, `{"running"`); n > 2 {
				t.Errorf("%d runs under a limit of two jobs:\n%s", n, pods)
			}
			return j.Status.Terminal()
		})
	}
}

func testFailure(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.submit(t, edited(t, "square", func(name, content string) string {
		if strings.HasSuffix(name, ".rou.xml") {
			return strings.Replace(content, `edges="`, `edges="nowhere `, 1)
		}
		return content
	}), nil)
	j = a.finish(t, j.JobID)
	if j.Status != job.Failed || j.Reason != simulation.InvalidScenario || !strings.Contains(why(j), "nowhere") {
		t.Errorf("ended %s, %s: %s", j.Status, j.Reason, why(j))
	}
	var snapshot struct{ Logs string }
	a.call(t, "GET", "/jobs/"+j.JobID+"/logs", http.StatusOK, &snapshot)
	if !strings.Contains(snapshot.Logs, "nowhere") {
		t.Errorf("the log is %q", snapshot.Logs)
	}
}

func testCancel(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.submit(t, endless(t), nil)
	a.start(t, j.JobID)
	a.call(t, "DELETE", "/jobs/"+j.JobID, http.StatusOK, nil)
	j = a.finish(t, j.JobID)
	if j.Status != job.Cancelled || j.Reason != simulation.Cancelled {
		t.Errorf("ended %s, %s: %s", j.Status, j.Reason, why(j))
	}
	if j.ResultFiles == nil || len(j.ResultFiles.Files) < 3 {
		t.Errorf("it kept %+v", j.ResultFiles)
	}
}

func testDeletion(t *testing.T, c *cluster) {
	a := c.register(t, "")
	j := a.submit(t, endless(t), nil)
	a.start(t, j.JobID)
	c.admin(t, "DELETE", "/auth/tenants/"+a.id, "", http.StatusConflict, nil)
	c.admin(t, "DELETE", "/auth/tenants/"+a.id+"?force=true", "", http.StatusOK, nil)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		out, err := c.tryKubectl(t, "get", "namespace", a.namespace)
		if err != nil && strings.Contains(out, "NotFound") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the namespace is still there: %s", out)
		}
	}
}

func testForeignNamespace(t *testing.T, c *cluster) {
	name := fmt.Sprintf("sumo-foreign-%d", time.Now().UnixNano())
	c.kubectl(t, "create", "namespace", name)
	t.Cleanup(func() { _, _ = c.tryKubectl(t, "delete", "namespace", name, "--wait=false") })
	c.admin(t, "POST", "/auth/register", `{"tenant_id": "`+strings.TrimPrefix(name, "sumo-")+`"}`, http.StatusConflict, nil)
	if labels := c.kubectl(t, "get", "namespace", name, "-o", "jsonpath={.metadata.labels}"); strings.Contains(labels, "sumo-k8") {
		t.Errorf("the foreign namespace was changed: %s", labels)
	}
	c.admin(t, "GET", "/auth/tenants/"+strings.TrimPrefix(name, "sumo-"), "", http.StatusNotFound, nil)
}

func testOperators(t *testing.T, c *cluster) {
	// On a busy machine a check may exceed its time limit.
	until(t, "the service is healthy", func() (bool, string) {
		status, answer, err := c.send(t, "GET", "/health", nil, nil)
		return err == nil && status == http.StatusOK, fmt.Sprintf("%d %s %v", status, answer, err)
	})
	var nodes struct {
		Nodes []struct {
			Name   string
			Status []string
		}
	}
	c.admin(t, "GET", "/admin/cluster", "", http.StatusOK, &nodes)
	if len(nodes.Nodes) != 1 || nodes.Nodes[0].Name != "node1" || len(nodes.Nodes[0].Status) == 0 {
		t.Errorf("the cluster is %+v", nodes)
	}
	var warmup struct {
		WarmupID string `json:"warmup_id"`
	}
	c.admin(t, "POST", "/admin/warmup?cpu_request=1&memory_gi=1&keep_alive_seconds=60", "", http.StatusOK, &warmup)
	var list struct {
		WarmupJobs []struct {
			WarmupID string `json:"warmup_id"`
			Status   string
		} `json:"warmup_jobs"`
	}
	c.admin(t, "GET", "/admin/warmup/status", "", http.StatusOK, &list)
	if len(list.WarmupJobs) == 0 {
		t.Error("the warm-up is not listed")
	}
	c.admin(t, "DELETE", "/admin/warmup/"+warmup.WarmupID, "", http.StatusOK, nil)
	c.admin(t, "GET", "/admin/activity", "", http.StatusOK, nil)
}

// testRights compares what each function's account may do, in our namespace and in a tenant's, with testdata/rights.txt.
func testRights(t *testing.T, c *cluster) {
	a := c.register(t, "")
	var got strings.Builder
	for _, account := range []string{"auth", "submit", "status", "logs", "reconcile"} {
		for _, place := range []struct{ name, namespace string }{
			{"sumo-k8", "sumo-k8"}, {"a tenant's namespace", a.namespace}, {"kube-system", "kube-system"},
		} {
			got.WriteString("== " + account + " in " + place.name + "\n")
			got.WriteString(rights(c.kubectl(t, "auth", "can-i", "--list", "-n", place.namespace, "--as=system:serviceaccount:sumo-k8:"+account)))
		}
	}
	golden := filepath.Join("testdata", "rights.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("rights differ (-want +got):\n%s", diff)
	}
	// The table does not show that the accounts that provision tenants are restricted to tenants' namespaces.
	for _, account := range []string{"auth", "reconcile"} {
		for _, namespace := range []string{a.namespace, "kube-system", "sumo-k8", "default"} {
			out, err := c.tryKubectl(
				t, "create", "configmap", "probe", "--namespace", namespace, "--dry-run=server", "--as=system:serviceaccount:sumo-k8:"+account,
			)
			held := strings.Contains(out, "may change only its tenants' namespaces")
			if (err == nil) != (namespace == a.namespace) || held != (err != nil) {
				t.Errorf("%s writes to %s: %v: %s", account, namespace, err, out)
			}
		}
	}
}

// rights is kubectl's table without what every account may do: query its own rights, and read public addresses.
func rights(table string) string {
	var lines []string
	spaces := regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(spaces.ReplaceAllString(line, "  "))
		if line == "" || strings.HasPrefix(line, "Resources") || strings.HasPrefix(line, "[") || strings.Contains(line, "selfsubject") {
			continue
		}
		lines = append(lines, line+"\n")
	}
	return strings.Join(lines, "")
}

func testControllerKilled(t *testing.T, c *cluster) {
	a := c.register(t, `, "max_concurrent_jobs": 4`)
	var ids []string
	for range 20 {
		ids = append(ids, a.submit(t, ready(t, "cross"), nil).JobID)
	}
	a.await(t, ids[3], func(j rest.Job) bool { return j.Status.Terminal() })
	c.kubectl(t, "delete", "pods", "-n", "argo", "--all", "--grace-period=0", "--force")
	for _, id := range ids {
		j := a.finish(t, id)
		if j.Status != job.Succeeded {
			t.Errorf("job %s ended %s: %s", id, j.Status, why(j))
		}
	}
}
