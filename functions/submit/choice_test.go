package submit_test

import (
	"bytes"
	"crypto/rand"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// installation is the function with one tenant, which has one scenario.
type installation struct {
	*served.Function
	parts    app.Parts
	key      string // as a header
	scenario scenario.Scenario
}

// install starts it for a tenant with a default version of SUMO. 1.18 and 1.28 are installed, and 1.20 to 1.26 are on offer.
func install(t *testing.T, standard string, edits ...func(*app.Parts)) *installation {
	t.Helper()
	parts := served.Parts(t)
	for _, edit := range edits {
		edit(&parts)
	}
	in := &installation{parts: parts, Function: served.Serve(t, parts, "submit")}
	text, stored, err := tenant.NewKey(rand.Reader, "acme", "default", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	acme := tenant.Tenant{
		ID: "acme", Namespace: tenant.NamespaceFor("acme"), Limits: roomy,
		DefaultSumoVersion: standard,
	}
	if _, err := parts.DB.CreateTenant(t.Context(), acme, stored); err != nil {
		t.Fatal(err)
	}
	in.key = "Authorization: Bearer " + text
	zip, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	intake := scenario.Intake{
		Store: parts.DB, Objects: parts.Objects, Limits: parts.Config.Limits(), NewID: uuid.NewString, Now: time.Now,
	}
	if in.scenario, _, err = intake.Accept(t.Context(), acme, bytes.NewReader(zip), scenario.About{}); err != nil {
		t.Fatal(err)
	}
	return in
}

// found changes what is known of the scenario's configuration.
func (in *installation) found(t *testing.T, change func(*scenario.Config)) {
	t.Helper()
	m := in.scenario.Manifest
	m.Configs = slices.Clone(m.Configs)
	change(&m.Configs[0])
	if _, err := in.parts.DB.UpdateManifest(t.Context(), "acme", in.scenario.Digest, m); err != nil {
		t.Fatal(err)
	}
}

// submit submits the scenario with more fields, as JSON: `, "seed": 7`.
func (in *installation) submit(t *testing.T, more string) served.Answer {
	t.Helper()
	return in.Call(t, "POST", "/jobs/s3", `{"scenario_id": "s", "cpu_request": 1, "memory_gi": 1, "scenario": "`+in.scenario.Digest+`"`+more+`}`,
		"Content-Type: application/json", in.key)
}

func (in *installation) job(t *testing.T, more string) (j rest.Job) {
	t.Helper()
	in.submit(t, more).Want(t, http.StatusOK).Into(t, &j)
	return j
}

// fault is what 1.18 does not understand of the scenario in these tests.
var fault = problem.Item{Location: "net.net.xml:3", Message: "names the vehicle class container"}

func needsNewer(c *scenario.Config) { c.Needs = []scenario.Need{{Since: "1.20", Problem: fault}} }

func TestAJobRunsOnTheVersionThatItNamesOrThatFits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		standard string
		found    func(*scenario.Config)
		more     string
		want     string
		warning  string
	}{
		"the newest":           {"", func(*scenario.Config) {}, "", "1.28", ""},
		"the one named":        {"", func(*scenario.Config) {}, `, "sumo_version": "1.18"`, "1.18", ""},
		"the tenant's default": {"1.18", func(*scenario.Config) {}, "", "1.18", ""},
		"one that fits": {
			"1.18", needsNewer, "", "1.28", "SUMO 1.18, this tenant's default, cannot run square.sumocfg (net.net.xml:3: names",
		},
		"a default that went away":   {"1.15", func(*scenario.Config) {}, "", "1.18", "SUMO 1.15, this tenant's default, is no longer offered"},
		"one that fits in its place": {"1.15", needsNewer, "", "1.28", "the nearest to this tenant's default, cannot run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t, tt.standard)
			in.found(t, tt.found)
			j := in.job(t, tt.more)
			warnings := strings.Join(j.Warnings, "\n")
			if j.Options.SumoVersion != tt.want || (tt.warning == "") != (warnings == "") || !strings.Contains(warnings, tt.warning) {
				t.Errorf("runs on %s with the warnings %q", j.Options.SumoVersion, j.Warnings)
			}
		})
	}
}

func TestAVersionThatCannotRunAScenarioIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	in.found(t, needsNewer)
	for version, want := range map[string]struct {
		status int
		says   []string
	}{
		"1.18": {http.StatusUnprocessableEntity, []string{"SUMO 1.18 cannot run square.sumocfg: net.net.xml:3: names", "These can: 1.28", `"location":"net.net.xml:3"`}},
		"1.22": {http.StatusBadRequest, []string{"not installed on this machine", "make sumo VERSIONS=1.22", "local --sumo 1.22", "1.18, 1.28"}},
		"1.15": {http.StatusBadRequest, []string{"is not offered here; choose one of 1.18, 1.28"}},
	} {
		a := in.submit(t, `, "sumo_version": "`+version+`"`).Want(t, want.status)
		for _, part := range want.says {
			if !strings.Contains(string(a.Body), part) {
				t.Errorf("%s: %s, want %q", version, a.Body, part)
			}
		}
	}
}

func TestTheSeedIsThatOfEveryAttempt(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	if j := in.job(t, ""); j.Seed != nil {
		t.Errorf("without one it is %d", *j.Seed)
	}
	own := int64(42)
	in.found(t, func(c *scenario.Config) { c.Seed = &own })
	if j := in.job(t, ""); j.Seed == nil || *j.Seed != own {
		t.Errorf("the configuration's is %v", j.Seed)
	}
	if j := in.job(t, `, "seed": 7`); j.Seed == nil || *j.Seed != 7 {
		t.Errorf("the one named is %v", j.Seed)
	}
	in.found(t, func(c *scenario.Config) { c.Random = true })
	drawn := map[int64]bool{}
	var first rest.Job
	for range 3 {
		j := in.job(t, "")
		if j.Seed == nil || *j.Seed < 0 {
			t.Fatalf("with random it is %v", j.Seed)
		}
		drawn[*j.Seed], first = true, j
	}
	if len(drawn) < 2 {
		t.Errorf("three runs drew only %v", drawn)
	}
	if _, err := in.parts.DB.RequestCancel(t.Context(), "acme", first.JobID); err != nil {
		t.Fatal(err)
	}
	var again rest.Job
	in.Call(t, "POST", "/jobs/"+first.JobID+"/retry", "", in.key).Want(t, http.StatusOK).Into(t, &again)
	if again.Seed == nil || *again.Seed != *first.Seed {
		t.Errorf("a retry has the seed %v, want %d", again.Seed, *first.Seed)
	}
}

func TestWarningsAreTheJobsAndStrictRefusesThem(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	in.found(t, func(c *scenario.Config) {
		c.Warnings = []scenario.Warning{{Location: "a.rou.xml:3", Message: "SUMO drops b", Strict: true}, {Message: "language has no effect"}}
	})
	if diff := cmp.Diff([]string{"a.rou.xml:3: SUMO drops b", "language has no effect"}, in.job(t, "").Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	a := in.submit(t, `, "strict": true`).Want(t, http.StatusUnprocessableEntity)
	if body := string(a.Body); !strings.Contains(body, `"location":"a.rou.xml:3"`) || strings.Contains(body, "language") {
		t.Errorf("strict: %s", body)
	}
}

func TestAConfigurationIsValidatedAlone(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	zip, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(query string) served.Answer {
		return in.Call(t, "POST", "/scenarios/validate"+query, string(zip), "Content-Type: application/zip", in.key)
	}
	for query, fault := range map[string]string{
		"": "", "?config_file=square.sumocfg": "", "?config_file=square.rou.xml": "is not a SUMO configuration",
	} {
		var v submit.Validation
		validate(query).Want(t, http.StatusOK).Into(t, &v)
		if v.Valid != (fault == "") || v.Valid != (len(v.Errors) == 0) || !strings.Contains(v.Detail, fault) {
			t.Errorf("%q: %+v", query, v)
		}
	}
	validate("?config_file=x.sumocfg").Want(t, http.StatusBadRequest)
}

func TestOptionsOfARunComeInEitherForm(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	fromJSON := in.job(t, `, "unfinished_trips": true, "strict": true, "check": true`)
	form := "scenario_id=s&unfinished_trips=true&strict=true&check=true&scenario=" + in.scenario.Digest
	var fromForm rest.Job
	in.Call(t, "POST", "/jobs", form, "Content-Type: application/x-www-form-urlencoded", in.key).Want(t, http.StatusOK).Into(t, &fromForm)
	for _, j := range []rest.Job{fromJSON, fromForm} {
		if o := j.Options; !o.UnfinishedTrips || !o.Strict || !o.Check || j.Status != job.Queued {
			t.Errorf("the options are %+v", o)
		}
	}
	a := in.Call(t, "POST", "/jobs", strings.Replace(form, "check=true", "check=perhaps", 1),
		"Content-Type: application/x-www-form-urlencoded", in.key).Want(t, http.StatusBadRequest)
	if !strings.Contains(string(a.Body), "must be true or false") {
		t.Errorf("a check that is no boolean: %s", a.Body)
	}
}

func TestAScenarioThatAnEarlierReleaseCheckedIsCheckedAnew(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	m := in.scenario.Manifest
	m.Checked, m.Configs = 0, []scenario.Config{{Path: "square.sumocfg"}}
	if _, err := in.parts.DB.UpdateManifest(t.Context(), "acme", in.scenario.Digest, m); err != nil {
		t.Fatal(err)
	}
	in.job(t, "")
	got, err := in.parts.DB.Scenario(t.Context(), "acme", in.scenario.Digest)
	if err != nil || !got.Manifest.Current() || got.Manifest.Configs[0].Network == nil {
		t.Errorf("after its first use it is %+v, %v", got.Manifest, err)
	}
}

func TestTheConfigurationOfAJobMayHaveAnyName(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	zip, err := networks.With("square", nil)
	if err != nil {
		t.Fatal(err)
	}
	zip = bytes.ReplaceAll(zip, []byte("square.sumocfg"), []byte("square.sumo.xm")) // of the same length
	form := func(config string) served.Answer {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for _, f := range [][2]string{{"scenario_id", "s"}, {"config_file", config}} {
			if err := w.WriteField(f[0], f[1]); err != nil {
				t.Fatal(err)
			}
		}
		part, err := w.CreateFormFile("sumo_files", "s.zip")
		if err == nil {
			_, err = part.Write(zip)
		}
		if err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return in.Call(t, "POST", "/jobs", body.String(), "Content-Type: "+w.FormDataContentType(), in.key)
	}
	var j rest.Job
	form("square.sumo.xm").Want(t, http.StatusOK).Into(t, &j)
	if j.ConfigFile != "square.sumo.xm" {
		t.Errorf("it runs %s", j.ConfigFile)
	}
}
