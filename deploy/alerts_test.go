package deploy

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/reconcile"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/telemetry/metrics"
)

// exported are the functions' own metrics, each with its labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	m := metrics.New("reconcile")
	m.Reconciling(func(context.Context) ([]job.TenantQueue, error) { return nil, nil }, time.Now)
	m.Began("POST /reconcile")(200, time.Second)
	m.Passed(time.Second, errors.New("in part"))
	m.Ended(job.Job{State: job.Failed, Confinement: &simulation.Confinement{}})
	m.Reconciled(reconcile.Report{})
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	label := regexp.MustCompile(`(\w+)="`)
	found := map[string][]string{}
	for line := range strings.Lines(answer.Body.String()) {
		name, labels, _ := strings.Cut(line, "{")
		name, _, _ = strings.Cut(name, " ")
		if !strings.HasPrefix(name, "sumo_k8_") || strings.HasSuffix(name, "_bucket") {
			continue
		}
		found[name] = nil
		for _, l := range label.FindAllStringSubmatch(labels, -1) {
			found[name] = append(found[name], l[1])
		}
	}
	return found
}

// rules returns the PrometheusRule of the component monitoring.
func rules(t *testing.T) *prometheusRule {
	t.Helper()
	for _, i := range all(t) {
		if found := of[prometheusRule](i); len(found) == 1 {
			return found[0]
		}
	}
	t.Fatal("no installation has the alerts")
	return nil
}

func TestAlertsUseExistingMetrics(t *testing.T) {
	t.Parallel()
	names := exported(t)
	recorded := map[string]bool{}
	metric := regexp.MustCompile(`\b[a-z_]*:?sumo_k8_[a-z_]+(?::\w+)?(?:\{([^}]*)\})?`)
	matcher := regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	used := 0
	for _, group := range rules(t).Spec.Groups {
		for _, rule := range group.Rules {
			for _, found := range metric.FindAllStringSubmatch(rule.Expr, -1) {
				used++
				name, _, _ := strings.Cut(found[0], "{")
				labels, known := names[name]
				if strings.Contains(name, ":") {
					if !recorded[name] {
						t.Errorf("%s%s uses %s, which no earlier rule records", rule.Alert, rule.Record, name)
					}
					continue
				}
				if !known {
					t.Errorf("%s%s uses %s, which no function exports", rule.Alert, rule.Record, name)
				}
				for _, m := range matcher.FindAllStringSubmatch(found[1], -1) {
					if !slices.Contains(labels, m[1]) {
						t.Errorf("%s%s uses %s by its label %s; it has %v", rule.Alert, rule.Record, name, m[1], labels)
					}
				}
			}
			recorded[rule.Record] = true
		}
	}
	if used < 5 {
		t.Errorf("only %d metrics of the functions were found in the alerts", used)
	}
}

func TestTheDocumentHasEveryMetricAndAlert(t *testing.T) {
	t.Parallel()
	document := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := map[string]bool{}
	for name := range exported(t) {
		want[strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_sum")] = true
	}
	got := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(sumo_k8_\\w+)` \\|").FindAllStringSubmatch(document("../docs/metrics.md"), -1) {
		got[row[1]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md: -code +document:\n%s", diff)
	}
	manual := document("../docs/production.md")
	for _, group := range rules(t).Spec.Groups {
		for _, rule := range group.Rules {
			if !strings.Contains(manual, rule.Alert) {
				t.Errorf("docs/production.md does not say what to do about %s", rule.Alert)
			}
		}
	}
}

func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	const cases = "components/monitoring/alerts_test.yaml"
	text, err := os.ReadFile(cases)
	if err != nil {
		t.Fatal(err)
	}
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(text, &tests); err != nil {
		t.Fatal(err)
	}
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, c := range tests.Tests {
		for _, a := range c.AlertRuleTest {
			fires[a.Alertname] = fires[a.Alertname] || len(a.ExpAlerts) > 0
			rests[a.Alertname] = rests[a.Alertname] || len(a.ExpAlerts) == 0
		}
	}
	found := rules(t)
	for _, group := range found.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" && (!fires[rule.Alert] || !rests[rule.Alert]) {
				t.Errorf("%s has no case in which %s fires, or none in which it does not", cases, rule.Alert)
			}
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: the alerts were not tested. infra/debian/install.sh promtool")
	}
	folder := t.TempDir()
	groups, err := yaml.Marshal(found.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"rules.yml": groups, filepath.Base(cases): text} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Base(cases))
	run.Dir = folder
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}
