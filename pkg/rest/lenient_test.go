package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

type lenientFields struct {
	Name   string   `json:"name" minLength:"1" maxLength:"10"`
	Count  int      `json:"count,omitempty" minimum:"1" maximum:"9000" default:"2"`
	Share  *float64 `json:"share,omitempty"`
	Urgent *bool    `json:"urgent,omitempty"`
	Kind   string   `json:"kind,omitempty" enum:"a,b"`
	Note   string   `json:"note,omitempty"`
	List   []string `json:"list,omitempty"`
}

// lenientServer answers with the fields that it has read, and with the warnings.
func lenientServer(t *testing.T, register func(api huma.API, op huma.Operation)) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	register(NewAPI(mux, Keys{}), huma.Operation{OperationID: "x", Method: http.MethodPost, Path: "/x"})
	s := httptest.NewServer(Handler(mux, nil, zerolog.Nop()))
	t.Cleanup(s.Close)
	return s
}

type lenientRequest struct{ Body lenientFields }

type lenientAnswer struct {
	Body struct {
		Fields   lenientFields `json:"fields"`
		Warnings []string      `json:"warnings"`
	}
}

func readLeniently(ctx context.Context, in *lenientRequest) (*lenientAnswer, error) {
	out := &lenientAnswer{}
	out.Body.Fields, out.Body.Warnings = in.Body, WarningsOf(ctx)
	return out, nil
}

func TestJSONOfOldClientsIsReadWhereOnlyOneReadingIsPossible(t *testing.T) {
	t.Parallel()
	s := lenientServer(t, func(api huma.API, op huma.Operation) { RegisterLenient(api, Public, op, readLeniently) })
	at := func(x float64) *float64 { return &x }
	is := func(b bool) *bool { return &b }
	for body, want := range map[string]lenientFields{
		`{"name": "x"}`:                               {Name: "x", Count: 2},
		`{"name": "x", "count": "3"}`:                 {Name: "x", Count: 3},
		`{"name": "x", "count": " 3 "}`:               {Name: "x", Count: 3},
		`{"name": "x", "count": "+3"}`:                {Name: "x", Count: 3},
		`{"name": "x", "count": 3.0}`:                 {Name: "x", Count: 3},
		`{"name": "x", "count": 3e3}`:                 {Name: "x", Count: 3000},
		`{"name": "x", "count": "3.0"}`:               {Name: "x", Count: 3},
		`{"name": "x", "list": "a"}`:                  {Name: "x", Count: 2, List: []string{"a"}},
		`{"name": "x", "list": ""}`:                   {Name: "x", Count: 2},
		`{"name": "x", "count": ""}`:                  {Name: "x", Count: 2},
		`{"name": "x", "count": null, "share": null}`: {Name: "x", Count: 2},
		`{"name": "x", "COUNT": "3"}`:                 {Name: "x", Count: 3},
		`{"name": 17}`:                                {Name: "17", Count: 2},
		`{"name": 1.50}`:                              {Name: "1.50", Count: 2},
		`{"name": 9007199254740993}`:                  {}, // 16 characters are too many, and all are counted
		`{"name": "x", "share": "0.5"}`:               {Name: "x", Count: 2, Share: at(0.5)},
		`{"name": "x", "share": "1e2"}`:               {Name: "x", Count: 2, Share: at(100)},
		`{"name": "x", "urgent": "true"}`:             {Name: "x", Count: 2, Urgent: is(true)},
		`{"name": "x", "urgent": "False"}`:            {Name: "x", Count: 2, Urgent: is(false)},
		`{"name": "x", "urgent": 1}`:                  {Name: "x", Count: 2, Urgent: is(true)},
		`{"name": "x", "kind": "", "note": ""}`:       {Name: "x", Count: 2},
		`{"name": "x", "note": "<&>\u2028"}`:          {Name: "x", Count: 2, Note: "<&>\u2028"},

		`{"name": ""}`:                     {},
		`{"name": true}`:                   {},
		`{"name": ["x"]}`:                  {},
		`{"name": null}`:                   {},
		`{"name": "x", "count": "two"}`:    {},
		`{"name": "x", "count": "2.5"}`:    {},
		`{"name": "x", "count": "0"}`:      {},
		`{"name": "x", "count": true}`:     {},
		`{"name": "x", "share": "Inf"}`:    {},
		`{"name": "x", "share": "NaN"}`:    {},
		`{"name": "x", "urgent": 2}`:       {},
		`{"name": "x", "urgent": "maybe"}`: {},
		`{"name": "x", "count": 0.5}`:      {},
		`{"name": "x", "count": 1e300}`:    {},
		`{"name": "x", "list": 1}`:         {},
		`{"name": "x"} {}`:                 {},
		`["x"]`:                            {},
		`"x"`:                              {},
		`null`:                             {},
		`{`:                                {},
		``:                                 {},
	} {
		response, err := http.Post(s.URL+"/x", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Fields   lenientFields `json:"fields"`
			Warnings []string      `json:"warnings"`
		}
		err = json.NewDecoder(response.Body).Decode(&got)
		response.Body.Close()
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		accepted := want.Name != ""
		if accepted != (response.StatusCode == http.StatusOK) || !accepted && response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s answers %d", body, response.StatusCode)
			continue
		}
		if diff := cmp.Diff(want, got.Fields); diff != "" || len(got.Warnings) > 0 {
			t.Errorf("%s, with the warnings %q (-want +got):\n%s", body, got.Warnings, diff)
		}
	}
}

func TestUnknownFieldsAreIgnoredWithAWarningInLenientCallsOnly(t *testing.T) {
	t.Parallel()
	lenient := lenientServer(t, func(api huma.API, op huma.Operation) { RegisterLenient(api, Public, op, readLeniently) })
	strict := lenientServer(t, func(api huma.API, op huma.Operation) { Register(api, Public, op, readLeniently) })
	const body = `{"name": "x", "zone": {"deep": [1, 2]}, "Cores": 4, "count": 3.75}`
	response, err := http.Post(lenient.URL+"/x", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Fields   lenientFields `json:"fields"`
		Warnings []string      `json:"warnings"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("answers %s, %v", response.Status, err)
	}
	want := []string{
		`Fields that this service does not know were ignored: "Cores", "zone". /docs lists the fields.`,
		`count is a whole number: 3.75 is read as 3.`,
	}
	if diff := cmp.Diff(want, got.Warnings); diff != "" || got.Fields.Count != 3 {
		t.Errorf("read %+v (-want +got):\n%s", got.Fields, diff)
	}
	for _, refused := range []string{body, `{"name": "x", "count": "3"}`} {
		response, err := http.Post(strict.URL+"/x", "application/json", strings.NewReader(refused))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("a strict call answers %s to %s", response.Status, refused)
		}
	}
}

func TestAWarningNamesAFewUnknownFields(t *testing.T) {
	t.Parallel()
	many := make([]string, 1000)
	for i := range many {
		many[i] = strings.Repeat("x", 1000)
	}
	if got := IgnoredFields(many); len(got) != 1 || len(got[0]) > 3000 || !strings.Contains(got[0], ", …") {
		t.Errorf("warns %q", got)
	}
	if got := IgnoredFields(nil); got != nil {
		t.Errorf("without any it warns %q", got)
	}
}

func TestALenientBodyIsNoLongerThanAStrictOne(t *testing.T) {
	t.Parallel()
	s := lenientServer(t, func(api huma.API, op huma.Operation) { RegisterLenient(api, Public, op, readLeniently) })
	long := `{"name": "x", "note": "` + strings.Repeat("x", maxBody) + `"}`
	for name, body := range map[string]*strings.Reader{"announced": strings.NewReader(long), "not announced": strings.NewReader(long)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/x", body)
		if err != nil {
			t.Fatal(err)
		}
		if name == "not announced" {
			r.ContentLength = -1
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: answers %s", name, response.Status)
		}
	}
}
