package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/requests"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// belongings create a resource of each kind for a tenant, by the word that operations have for it: the segment before it in
// a path, or the plural of a parameter's or field's name. An operation with a new word fails
// TestNoTenantReachesAnothersBelongings until the word is listed here.
var belongings = map[string]func(testing.TB, *tenantClient) string{
	"jobs": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		var j rest.Job
		c.post(t, [][2]string{
			{"scenario_id", markOf(c)}, {"task_token", markOf(c)}, {"outputs", "edgedata,fcd"}, {"labels", `{"mark": "` + markOf(c) + `"}`},
			{"@sumo_files", zipOf(t, "square")},
		}).want(t, http.StatusOK).into(t, &j)
		if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
			t.Fatalf("the job ended %s: %s", j.Status, deref(j.Error))
		}
		return j.JobID
	},
	"results": func(testing.TB, *tenantClient) string { return "summary.xml" }, // of any job
	"plots":   func(testing.TB, *tenantClient) string { return "travel_time.svg" },
	// Of the recording that is made from a job's output.
	"segments":  func(testing.TB, *tenantClient) string { return "fcd1" },
	"{attempt}": func(testing.TB, *tenantClient) string { return "0" },
	"counts":    func(testing.TB, *tenantClient) string { return "scatter.svg" },
	"tables":    func(testing.TB, *tenantClient) string { return "tripinfo" },
	studyPlots:  func(testing.TB, *tenantClient) string { return "means.svg" }, // of any study
	"scenarios": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		zip, err := networks.Edited("square", func(_, content string) string { return content + "<!-- " + markOf(c) + " -->" })
		if err != nil {
			t.Fatal(err)
		}
		var made struct{ ID string }
		c.request(
			t, "POST", "/scenarios", bytes.NewReader(zip), "Authorization: "+c.key, "Content-Type: application/zip",
		).want(t, http.StatusOK).into(t, &made)
		return made.ID
	},
	"studies": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		made := c.ask(t, c.store(t, zipOf(t, "square")).ID, `"run": {"labels": {"mark": "`+markOf(c)+`"}, "outputs": ["edgedata"]},
			"baseline": {"variant": "base"}, "replications": {"seeds": [1]}`)
		c.answered(t, made.StudyID)
		return made.StudyID
	},
	"uploads": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		var made struct {
			ID string `json:"upload_id"`
		}
		c.request(
			t, "POST", "/scenarios/uploads", strings.NewReader(`{"size": 1000}`), "Authorization: "+c.key, "Content-Type: application/json",
		).want(t, http.StatusOK).into(t, &made)
		return made.ID
	},
	"webhooks": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		return c.hook(t, `"labels": {"mark": "`+markOf(c)+`"}`)
	},
	"deliveries": func(t testing.TB, c *tenantClient) string {
		t.Helper()
		hook := c.hook(t, `"events": ["job.queued"]`)
		c.finish(t, c.submit(t, "square").JobID)
		var list struct{ Deliveries []rest.Delivery }
		c.call(t, "GET", "/webhooks/deliveries?webhook_id="+hook).want(t, http.StatusOK).into(t, &list)
		if len(list.Deliveries) != 1 {
			t.Fatalf("a webhook of one event has %d deliveries", len(list.Deliveries))
		}
		return list.Deliveries[0].DeliveryID
	},
}

// notBelongings are names that look like ids but are chosen by the caller.
var notBelongings = []string{"scenario_id", "progress_simulation_id"}

// markOf returns a word that is part of everything a tenant owns, and that no other tenant may ever see.
func markOf(c *tenantClient) string { return "mark-of-" + c.id }

// reference is a place in an operation that names a belonging.
type reference struct {
	name, in string // as in the document; in is "body" for a field
	word     string // for the belonging
	list     bool   // of several
}

// partsOfOthers are reached only through their job or study, by names that all of them use.
var partsOfOthers = []string{"results", "plots", "counts", "tables", studyPlots, "segments", "{attempt}"}

// studyPlots is the word for the plots of studies, whose paths have that of jobs.
const studyPlots = "plots-of-studies"

var looksLikeID = regexp.MustCompile(`^(?:(.+)_)?(ids?|with|jobs?|scenarios?|study|uploads?|keys?|webhooks?)$`)

// referencesOf finds what an operation can name, so that a new operation is tested without a change here.
func referencesOf(d *contract.Document, op contract.Operation) (refs []reference) {
	segments := strings.Split(strings.Trim(op.Path, "/"), "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			word := segments[i-1]
			if word == "plots" && segments[0] == "studies" {
				word = studyPlots
			}
			refs = append(refs, reference{name: strings.TrimSuffix(name, "}"), in: "path", word: word})
		}
	}
	other := func(name, in string, schema contract.Schema) {
		match := looksLikeID.FindStringSubmatch(name)
		if match == nil || slices.Contains(notBelongings, name) {
			return
		}
		word := cmp.Or(match[1], match[2]) // job_id, job
		if strings.HasPrefix(word, "id") || word == "with" {
			word = segments[0] // ids: further ones beside the one in the path
		}
		word = strings.TrimSuffix(word, "s") + "s"
		if word == "studys" {
			word = "studies"
		}
		refs = append(refs, reference{name, in, word, slices.Contains(d.Types(schema), "array")})
	}
	for _, p := range op.Parameters {
		if p.In == "query" {
			other(p.Name, "query", p.Schema)
		}
	}
	fields := map[string]bool{}
	for _, body := range op.Bodies {
		properties, _ := d.Resolve(body)["properties"].(map[string]any)
		for name, property := range properties {
			if !fields[name] {
				schema, _ := property.(map[string]any)
				other(name, "body", schema)
			}
			fields[name] = true
		}
	}
	return refs
}

// deliver sends a request with these headers.
func (s *service) deliver(t testing.TB, q requests.Request, headers ...string) answer {
	t.Helper()
	r, err := q.To(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("%v: %v", q, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%v: reading the answer: %v", q, err)
	}
	return answer{response.StatusCode, response.Header, body}
}

func plain(t testing.TB, s *service, op contract.Operation, values requests.Values) requests.Request {
	t.Helper()
	q, err := requests.Plain(s.checker.Document, op, values)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return q
}

// unlimited is the environment of a service that takes many tests and wrong keys at once.
var unlimited = []string{"CALLS_PER_SECOND=0", "WRONG_KEYS_PER_MINUTE=0", "SUBMISSIONS_PER_MINUTE=0", "MAX_CONCURRENT_UPLOADS=0"}

func TestNoTenantReachesAnothersBelongings(t *testing.T) {
	t.Parallel()
	s := startProgram(t, localtest.Folder(t), unlimited...)
	owner, intruder := s.register(t), s.register(t)
	// The owner has two of what a list names, and the intruder one: some lists need at least two.
	owned, second, intruders := map[string]string{}, map[string]string{}, map[string]string{}
	type target struct {
		op   contract.Operation
		refs []reference
	}
	var targets []target
	for _, op := range s.checker.Operations {
		refs := referencesOf(s.checker.Document, op)
		if op.Access != string(rest.Tenant) || len(refs) == 0 {
			continue
		}
		complete := true
		for _, ref := range refs {
			create, known := belongings[ref.word]
			if known && owned[ref.word] == "" {
				owned[ref.word] = create(t, owner)
			}
			if known && ref.list && second[ref.word] == "" {
				second[ref.word], intruders[ref.word] = create(t, owner), create(t, intruder)
			}
			if !known {
				complete = false
				t.Errorf("%s names one of %q in its %s parameter or field %q, and no test knows how to create one. "+
					"Add that to belongings in matrix_test.go, or the name to notBelongings when it is the caller's own word.",
					op, ref.word, ref.in, ref.name)
			}
		}
		if complete {
			targets = append(targets, target{op, refs})
		}
	}
	if len(targets) < 10 {
		t.Errorf("only %d operations name something", len(targets))
	}
	before := owner.call(t, "GET", "/jobs").want(t, http.StatusOK)
	// A derivation may do without files, but not without any change.
	const derivation = "derive-scenario"
	changes := squareWith(t, "changed")

	for _, target := range targets {
		for _, ref := range target.refs {
			if slices.Contains(partsOfOthers, ref.word) {
				continue
			}
			values := func(id string) requests.Values {
				values := requests.Values{}
				for _, other := range target.refs {
					if other.in == "path" { // the caller's own, so that only ref can cause the refusal
						values[other.name] = cmp.Or(intruders[other.word], owned[other.word])
					}
				}
				values[ref.name] = id
				if target.op.ID == derivation {
					values["sumo_files"] = changes
				}
				if ref.list && target.refs[0].in != "path" { // otherwise the path has the first
					values[ref.name] = intruders[ref.word] + "," + id
				}
				return values
			}
			name := fmt.Sprintf("%s with another's %s", target.op, ref.name)
			anothers := intruder.deliver(t, plain(t, s.service, target.op, values(owned[ref.word])), "Authorization: "+intruder.key)
			nobodys := intruder.deliver(t, plain(t, s.service, target.op, values(unknownLike(owned[ref.word]))), "Authorization: "+intruder.key)
			if diff := gocmp.Diff(nameless(nobodys, unknownLike(owned[ref.word])), nameless(anothers, owned[ref.word])); diff != "" {
				t.Errorf("%s differs from an id of nobody: %s", name, diff)
			}
			// A search by something missing finds nothing; everything else is not found.
			if found := ref.in == "query" && anothers.status == http.StatusOK; !found && (anothers.status != http.StatusNotFound ||
				anothers.problem(t).Code != problem.NotFound) {
				t.Errorf("%s answers %d: %s", name, anothers.status, anothers.body)
			}
			if strings.Contains(string(anothers.body), markOf(owner)) {
				t.Errorf("%s reveals it: %s", name, anothers.body)
			}
		}
	}
	if after := owner.call(t, "GET", "/jobs").want(t, http.StatusOK); !bytes.Equal(after.body, before.body) {
		t.Errorf("the owner's jobs are not as they were:\n%s\nnow\n%s", before.body, after.body)
	}

	// The same requests by the owner show that the key makes the difference. Requests that may change things come last.
	order := []string{"GET", "PUT", "POST", "PATCH", "DELETE"}
	slices.SortStableFunc(targets, func(a, b target) int { return slices.Index(order, a.op.Method) - slices.Index(order, b.op.Method) })
	for _, target := range targets {
		values := requests.Values{}
		if target.op.ID == derivation {
			values["sumo_files"] = changes
		}
		for _, ref := range target.refs {
			values[ref.name] = owned[ref.word]
			switch {
			case ref.list && target.refs[0].in == "path":
				values[ref.name] = second[ref.word]
			case ref.list:
				values[ref.name] += "," + second[ref.word]
			}
		}
		a := owner.deliver(t, plain(t, s.service, target.op, values), "Authorization: "+owner.key)
		if a.status >= http.StatusBadRequest && a.status != http.StatusConflict {
			t.Errorf("%s by the owner answers %d: %s", target.op, a.status, a.body)
		}
	}
}

// unknownLike returns an unused id of the same form.
func unknownLike(id string) string {
	last := "0"
	if strings.HasSuffix(id, last) {
		last = "1"
	}
	return id[:len(id)-1] + last
}

// nameless returns an answer without what differs between any two answers.
func nameless(a answer, id string) map[string]string {
	out := map[string]string{"status": fmt.Sprint(a.status), "body": strings.ReplaceAll(string(a.body), id, "ID")}
	for name, values := range a.header {
		if name != "X-Request-Id" && name != "Date" {
			out[name] = strings.Join(values, ", ")
		}
	}
	return out
}

// mistyped is key with another character in its middle.
func mistyped(key string) string {
	other := "x"
	if key[20] == 'x' {
		other = "y"
	}
	return key[:20] + other + key[21:]
}

func TestEveryOperationAsksForItsKey(t *testing.T) {
	t.Parallel()
	s := startProgram(t, localtest.Folder(t), unlimited...)
	c, revoked := s.register(t), s.register(t)
	s.admin(t, "POST", "/auth/regenerate-key", fmt.Sprintf(`{"tenant_id": %q}`, revoked.id)).want(t, http.StatusOK)
	wrong := map[string][]string{
		"no key":             nil,
		"a revoked key":      {"Authorization: Bearer " + revoked.key},
		"a mistyped key":     {"Authorization: Bearer " + mistyped(c.key)},
		"half a key":         {"Authorization: Bearer " + c.key[:30]},
		"another scheme":     {"Authorization: Basic " + c.key},
		"no key at all":      {"Authorization: Bearer"},
		"a wrong admin key":  {"X-Admin-Key: " + s.adminKey + "x"},
		"both in one header": {"Authorization: Bearer " + c.key + ", " + s.adminKey},
	}
	forTenants := map[string][]string{
		"the admin key in its header":    {"X-Admin-Key: " + s.adminKey},
		"the admin key in a tenant's":    {"Authorization: Bearer " + s.adminKey},
		"the right key in another place": {"X-Admin-Key: " + c.key},
	}
	forOperators := map[string][]string{
		"a tenant's key in its header":   {"Authorization: Bearer " + c.key},
		"a tenant's key in an admin's":   {"X-Admin-Key: " + c.key},
		"the right key in another place": {"Authorization: Bearer " + s.adminKey},
	}
	for _, op := range s.checker.Operations {
		more := forTenants
		switch op.Access {
		case string(rest.Admin):
			more = forOperators
		case string(rest.Public):
			continue
		}
		for _, attempts := range []map[string][]string{wrong, more} {
			for name, headers := range attempts {
				a := s.deliver(t, plain(t, s.service, op, requests.Values{"tenant_id": c.id}), headers...)
				if a.status != http.StatusUnauthorized || a.problem(t).Code != problem.Unauthorized {
					t.Errorf("%s with %s answers %d: %s", op, name, a.status, a.body)
				}
			}
		}
	}
	c.call(t, "GET", "/tenants/me/dashboard").want(t, http.StatusOK)
}

// lenient are the operations that the predecessor's clients, probes and programs that follow a link call.
var lenient = []string{
	"POST /auth/register", "POST /auth/regenerate-key", "GET /auth/tenants", "GET /auth/tenants/{id}", "PATCH /auth/tenants/{id}",
	"POST /jobs", "POST /jobs/s3", "GET /jobs/{id}", "GET /jobs/{id}/logs", "GET /jobs/{id}/logs/stream", "GET /jobs/{id}/results",
	"GET /tenants/me/dashboard", "GET /admin/cluster", "GET /admin/jobs", "GET /admin/activity", "POST /admin/warmup",
	"GET /admin/warmup/status", "DELETE /admin/warmup/{id}", "GET /health", "GET /ready", "GET /links/{token}/{name}",
}

func TestAMisspeltParameterIsRefused(t *testing.T) {
	t.Parallel()
	s := startProgram(t, localtest.Folder(t), unlimited...)
	c := s.register(t)
	var ignoring []string
	for _, op := range s.checker.Operations {
		q := plain(t, s.service, op, nil)
		q.Query = strings.TrimPrefix(q.Query+"&attribut=speed", "&")
		a := s.deliver(t, q, "Authorization: "+c.key, "X-Admin-Key: "+s.adminKey)
		if !strings.Contains(string(a.body), "query.attribut") {
			ignoring = append(ignoring, op.String())
			continue
		}
		p := a.want(t, http.StatusBadRequest).problem(t)
		want := "this call has none"
		for _, known := range op.Parameters {
			if known.In == "query" {
				want = known.Name
			}
		}
		if p.Code != problem.Invalid || len(p.Errors) != 1 || !strings.Contains(p.Detail, want) {
			t.Errorf("%s answers %+v", op, p)
		}
	}
	slices.Sort(ignoring)
	if diff := gocmp.Diff(slices.Sorted(slices.Values(lenient)), ignoring); diff != "" {
		t.Errorf("operations that ignore a misspelt parameter (-want +got):\n%s", diff)
	}
}

func TestEveryOperationRefusesABodyThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s := startProgram(t, localtest.Folder(t), append(unlimited, "MAX_UPLOAD_MIB=1")...)
	c := s.register(t)
	big := strings.Repeat("x", 3<<20)
	for _, op := range s.checker.Operations {
		q := plain(t, s.service, op, nil)
		switch form, isForm := op.Bodies["multipart/form-data"]; {
		case isForm:
			values := requests.Values{}
			properties, _ := s.checker.Resolve(form)["properties"].(map[string]any)
			for name, property := range properties {
				if p, _ := property.(map[string]any); p["format"] == "binary" {
					values[name] = big
				}
			}
			q = plain(t, s.service, op, values)
		case op.Bodies["application/json"] != nil:
			q.Body = []byte(`{"x": "` + big + `"}`)
		default:
			q.Body = []byte(big)
		}
		a := s.deliver(t, q, "Authorization: "+c.key, "X-Admin-Key: "+s.adminKey)
		if a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s answers %d to %d bytes: %.300s", op, a.status, len(q.Body), a.body)
			continue
		}
		if p := a.problem(t); p.Code != problem.TooLarge || !strings.Contains(p.Detail, "3.0 MiB") || !strings.Contains(p.Detail, "1.0 MiB") {
			t.Errorf("%s does not name both sizes: %s", op, p.Detail)
		}
	}
	p := s.request(
		t, "POST", "/auth/register", io.MultiReader(strings.NewReader(`{"x": "`+big+`"}`)), "X-Admin-Key: "+s.adminKey,
		"Content-Type: application/json",
	).
		want(t, http.StatusRequestEntityTooLarge).problem(t)
	if !strings.Contains(p.Detail, "1.0 MiB") {
		t.Errorf("a body of unannounced length: %s", p.Detail)
	}
}
