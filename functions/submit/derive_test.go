package submit_test

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// zipped is a zip of files, given as names and texts in turn.
func zipped(t *testing.T, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (in *installation) derive(t *testing.T, from, query, body string, headers ...string) served.Answer {
	t.Helper()
	return in.Call(t, "POST", "/scenarios/"+from+"/derive"+query, body, append(headers, in.key)...)
}

func (in *installation) derived(t *testing.T, from, query, body string, headers ...string) (s submit.StoredScenario) {
	t.Helper()
	in.derive(t, from, query, body, headers...).Want(t, http.StatusOK).Into(t, &s)
	return s
}

// objects returns the keys of all that is stored of scenarios.
func (in *installation) objects(t *testing.T) (keys []string) {
	t.Helper()
	err := in.parts.Objects.List(t.Context(), artifact.ScenarioPrefix, func(o artifact.Object) bool {
		keys = append(keys, o.Key)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

var roomy = tenant.Limits{MaxCPU: 8, MaxMemoryGi: 16, MaxConcurrentJobs: 2}

const noTraffic = "<routes/>\n"

func TestAScenarioIsDerived(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	changes := zipped(t, "square.rou.xml", noTraffic, "notes, old.txt", "x")
	first := in.derived(t, in.scenario.Digest, "?name=no+traffic", changes, "Content-Type: application/zip")
	want := &rest.Derived{
		Base: in.scenario.Digest, Changed: []string{"square.rou.xml"}, Added: []string{"notes, old.txt"}, Deleted: []string{}, Differences: 2,
		AddedSize: first.Size - in.scenario.Size,
	}
	step := &rest.Step{
		From: in.scenario.Digest, Changed: []string{"square.rou.xml"}, Added: []string{"notes, old.txt"}, Deleted: []string{},
	}
	if diff := cmp.Diff(step, first.Step); diff != "" {
		t.Errorf("the first step (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, first.Derived); diff != "" || !first.Created || first.Name != "no traffic" ||
		first.Configs[0].Demand.Vehicles != 0 {
		t.Errorf("derived %+v (-want +got):\n%s", first, diff)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("sumo_files", "changes.zip")
	if err == nil {
		_, err = part.Write([]byte(changes))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	again := in.derived(t, in.scenario.Digest, "", form.String(), "Content-Type: "+w.FormDataContentType())
	if again.ID != first.ID || again.Created || again.Name != "no traffic" {
		t.Errorf("as a form it is another scenario: %+v", again)
	}
	second := in.derived(t, first.ID, "?delete="+url.QueryEscape("notes, old.txt"), "")
	if d := second.Derived; d.Base != in.scenario.Digest || d.Differences != 1 || second.Name != "no traffic" {
		t.Errorf("derived from that %+v", second)
	}
	step = &rest.Step{From: first.ID, Changed: []string{}, Added: []string{}, Deleted: []string{"notes, old.txt"}}
	if diff := cmp.Diff(step, second.Step); diff != "" {
		t.Errorf("the second step (-want +got):\n%s", diff)
	}
	if keys := in.objects(t); len(keys) != 3 {
		t.Errorf("stored are %q", keys)
	}
	// The base goes first, and its zip with the last that needs it.
	for i, id := range []string{in.scenario.Digest, second.ID, first.ID} {
		in.Call(t, "DELETE", "/scenarios/"+id, "", in.key).Want(t, http.StatusOK)
		if keys := in.objects(t); len(keys) != []int{3, 2, 0}[i] {
			t.Errorf("after %d were deleted there is %q", i+1, keys)
		}
		if i == 0 {
			same := in.derived(t, in.scenario.Digest, "", changes, "Content-Type: application/zip")
			if same.ID != first.ID || same.Created {
				t.Errorf("the request that made %s makes %s when its base is gone", first.ID, same.ID)
			}
			in.Call(t, "POST", "/scenarios/"+in.scenario.Digest+"/derive", zipped(t, "square.rou.xml", "<routes/>"), in.key,
				"Content-Type: application/zip").Want(t, http.StatusNotFound)
		}
		if i == 1 {
			back := in.derived(t, first.ID, "?delete=square.rou.xml&delete=notes,+old.txt", zipped(t, "square2.rou.xml", noTraffic,
				"square.sumocfg", `<configuration><net-file value="square.net.xml"/><route-files value="square2.rou.xml"/></configuration>`))
			if d := back.Derived; !slices.Equal(d.Deleted, []string{"square.rou.xml"}) || !slices.Equal(d.Changed, []string{"square.sumocfg"}) {
				t.Errorf("derived from one whose base is gone: %+v", d)
			}
			in.Call(t, "DELETE", "/scenarios/"+back.ID, "", in.key).Want(t, http.StatusOK)
		}
	}
}

func TestADerivationThatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	id := in.scenario.Digest
	changes := zipped(t, "square.rou.xml", noTraffic)
	for name, tt := range map[string]struct {
		from, query, body string
		status            int
		says              string
	}{
		"nothing":               {id, "", "", http.StatusBadRequest, "Nothing would change"},
		"a misspelt query":      {id, "?delte=square.rou.xml", changes, http.StatusBadRequest, `"query.delte"`},
		"an unknown file":       {id, "?delete=x.xml", changes, http.StatusBadRequest, `\"x.xml\" is no file or folder`},
		"an unknown scenario":   {strings.Repeat("0", 64), "", changes, http.StatusNotFound, "No scenario"},
		"a needed file":         {id, "?delete=square.net.xml", "", http.StatusUnprocessableEntity, "square.net.xml"},
		"a broken file":         {id, "", zipped(t, "square.rou.xml", "<routes>"), http.StatusUnprocessableEntity, "square.rou.xml"},
		"something else":        {id, "", "no zip", http.StatusUnprocessableEntity, "not a zip"},
		"the place of the list": {id, "", zipped(t, "/derived.json", "{}"), http.StatusUnprocessableEntity, "absolute"},
	} {
		a := in.derive(t, tt.from, tt.query, tt.body, "Content-Type: application/zip").Want(t, tt.status)
		if !strings.Contains(string(a.Body), tt.says) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	key := "Idempotency-Key: k"
	made := in.derived(t, id, "", changes, key)
	if again := in.derived(t, id, "", changes, key); again.ID != made.ID {
		t.Errorf("repeated it is %s, and was %s", again.ID, made.ID)
	}
	in.derive(t, id, "", zipped(t, "x", "x"), key).Want(t, http.StatusUnprocessableEntity)
	if keys := in.objects(t); len(keys) != 2 {
		t.Errorf("left are %q", keys)
	}
}

func TestADerivedScenarioIsNobodyElses(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	text, stored, err := tenant.NewKey(rand.Reader, "other", "default", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other := tenant.Tenant{ID: "other", Namespace: tenant.NamespaceFor("other"), Limits: roomy}
	if _, err := in.parts.DB.CreateTenant(t.Context(), other, stored); err != nil {
		t.Fatal(err)
	}
	in.key = "Authorization: Bearer " + text
	in.derive(t, in.scenario.Digest, "", zipped(t, "x", "x")).Want(t, http.StatusNotFound)
}

func TestAJobOfADerivedScenarioHasBothParts(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	made := in.derived(t, in.scenario.Digest, "", zipped(t, "square.rou.xml", noTraffic))
	in.scenario.Digest = made.ID
	id := in.job(t, "").JobID
	j, err := in.parts.DB.Job(t.Context(), "acme", id)
	if err != nil || j.ScenarioKey != in.scenario.Key || !slices.Contains(in.objects(t), j.OverlayKey) || j.OverlayKey == j.ScenarioKey {
		t.Errorf("it reads %q and %q, %v", j.ScenarioKey, j.OverlayKey, err)
	}
	in.Call(t, "DELETE", "/scenarios/"+made.ID, "", in.key).Want(t, http.StatusConflict)
}
