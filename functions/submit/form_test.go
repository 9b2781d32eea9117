package submit

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// mostSkipped is what unknown fields may have.
const mostSkipped = 1 << 20

func formOf(tb testing.TB) *formReader[jobFields] {
	tb.Helper()
	return newFormReader[jobFields](rest.NewAPI(http.NewServeMux(), rest.Keys{}), mostSkipped)
}

// field is one part of a form; a file name makes it a file.
type field struct{ name, file, value string }

const boundary = "a-boundary"

func multipartOf(tb testing.TB, fields ...field) []byte {
	tb.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.SetBoundary(boundary); err != nil {
		tb.Fatal(err)
	}
	for _, f := range fields {
		w, err := form.CreateFormField(f.name)
		if f.file != "" {
			w, err = form.CreateFormFile(f.name, f.file)
		}
		if err != nil {
			tb.Fatal(err)
		}
		_, _ = io.WriteString(w, f.value)
	}
	if err := form.Close(); err != nil {
		tb.Fatal(err)
	}
	return body.Bytes()
}

// reading is what came of a form.
type reading struct {
	fields  jobFields
	early   []string // the runs that were shown before the upload was read
	uploads []string // what was taken as a zip
	stored  bool
	ignored []string
	err     error
}

func readAll(f *formReader[jobFields], contentType string, body io.Reader) (r reading) {
	request := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body)}
	read, err := f.read(request, func(zip part, before *jobFields) error {
		if before != nil {
			r.early = append(r.early, before.ScenarioID)
		}
		content, err := io.ReadAll(zip)
		r.uploads = append(r.uploads, string(content))
		return err
	})
	if err == nil {
		err = checkSource(read.uploaded, read.fields.urls(), read.fields.Scenario)
	}
	r.fields, r.stored, r.ignored, r.err = read.fields, read.uploaded, read.ignored, err
	return r
}

const multipartType = "multipart/form-data; boundary=" + boundary

func TestAFormNamesAProgramAsJSON(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	for name, test := range map[string]struct {
		field, value, fault string
		want                simulation.Options
	}{
		"a controller": {"controller", `{"file": "a.py", "args": ["--gain", "0.4"]}`, "", simulation.Options{
			Controller: &simulation.Controller{File: "a.py", Args: []string{"--gain", "0.4"}, Interface: simulation.TraCI},
		}},
		"one with libsumo": {"controller", `{"file": "a.py", "interface": "libsumo"}`, "", simulation.Options{
			Controller: &simulation.Controller{File: "a.py", Interface: simulation.Libsumo},
		}},
		"a tool": {"tool", `{"name": "netconvert", "args": ["-h"], "keep_as": "x"}`, "", simulation.Options{
			Tool: &simulation.Tool{Name: "netconvert", Args: []string{"-h"}, KeepAs: "x"},
		}},
		"a plain name":        {"controller", "a.py", "must be a JSON object", simulation.Options{}},
		"another interface":   {"controller", `{"file": "a.py", "interface": "corba"}`, "body.controller.interface", simulation.Options{}},
		"a field it has not":  {"controller", `{"file": "a.py", "shell": "x"}`, "body.controller", simulation.Options{}},
		"a tool nobody knows": {"tool", `{"name": "sh"}`, "body.tool.name", simulation.Options{}},
	} {
		got := readAll(form, "application/x-www-form-urlencoded", strings.NewReader(url.Values{
			"scenario_id": {"x"}, "scenario": {strings.Repeat("0", 64)}, test.field: {test.value},
		}.Encode()))
		request, err := got.fields.request()
		if got.err != nil || err != nil {
			if test.fault == "" || got.err == nil || !strings.Contains(got.err.Error(), test.fault) {
				t.Errorf("%s: %v, %v", name, got.err, err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, request.Options); diff != "" || test.fault != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAFormBecomesTypedFields(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	got := readAll(form, multipartType, bytes.NewReader(multipartOf(t,
		field{name: "scenario_id", value: "morning"}, field{name: "cpu_request", value: " 3.0 "}, field{name: "seed", value: "7"},
		field{name: "end", value: "3600.5"},
		field{name: "outputs", value: "fcd, queue"}, field{name: "outputs", value: "emission"}, field{name: "labels", value: `{"team": "a"}`},
		field{name: "config_file", value: ""}, field{name: fileField, file: "x.zip", value: "the zip"}, field{name: "priority", value: "high"},
	)))
	seed, end := int64(7), 3600.5
	want := jobFields{Run: Run{
		ScenarioID: "morning", CPURequest: 3, MemoryGi: 4, Seed: &seed, End: &end, Outputs: []simulation.Output{"fcd", "queue", "emission"},
		Labels: map[string]string{"team": "a"}, Priority: "high",
	}}
	if got.err != nil || !got.stored {
		t.Fatalf("refused: %v", got.err)
	}
	if diff := cmp.Diff(want, got.fields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"the zip"}, got.uploads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"morning"}, got.early); diff != "" {
		t.Errorf("what came before the zip was not checked before it: %s", diff)
	}
}

func TestBrowsersEmptyFilesAreNoScenario(t *testing.T) {
	t.Parallel()
	got := readAll(formOf(t), multipartType, bytes.NewReader(multipartOf(t,
		field{name: fileField}, field{name: "scenario_id", value: "x"}, field{name: "sumo_files_s3_url", value: " "},
		field{name: "scenario", value: "ab"},
	)))
	if got.err != nil || got.stored || got.fields.Scenario != "ab" {
		t.Errorf("read %+v", got)
	}
}

func TestAddressesAreReadAsThePredecessorReadThem(t *testing.T) {
	t.Parallel()
	at := func(address string) *string { return &address }
	for name, c := range map[string]struct {
		body s3RequestBody
		want []string
	}{
		"blanks around one":   {s3RequestBody{S3URL: at(" s3://b/k.zip\n")}, []string{"s3://b/k.zip"}},
		"blanks around many":  {s3RequestBody{S3URLs: []string{"", " s3://b/a", "\t", "s3://b/b "}}, []string{"s3://b/a", "s3://b/b"}},
		"one and only blanks": {s3RequestBody{S3URL: at("s3://b/k.zip"), S3URLs: []string{" "}}, []string{"s3://b/k.zip"}},
		"only blanks":         {s3RequestBody{S3URL: at(" "), S3URLs: []string{""}}, nil},
	} {
		if got, err := c.body.urls(); err != nil || !cmp.Equal(c.want, got) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := (s3RequestBody{S3URL: at("s3://b/k.zip"), S3URLs: []string{"s3://b/a"}}).urls(); problem.CodeOf(err) != problem.Invalid {
		t.Errorf("both kinds: %v", err)
	}
	for text, want := range map[string]string{
		"17": "17", "17.0": "17", "-3.00": "-3", "17.5": "17.5", "1.0.0": "1.0.0", "a.0": "a.0", ".0": ".0",
	} {
		if got := wholeNumber(text); got != want {
			t.Errorf("the number of %q is %q", text, got)
		}
	}
}

func TestUnknownFieldsOfAJobAreIgnoredAndNamed(t *testing.T) {
	t.Parallel()
	unknown := []field{
		{name: "zone", value: "a"}, {name: "cpus", value: "1"}, {name: "cpus", value: "2"}, {value: "nameless"},
		{name: "big", value: strings.Repeat("x", mostSkipped/2)}, {name: "map", file: "map.png", value: "png"}, {name: strings.Repeat("n", 120)},
	}
	known := []field{{name: "scenario_id", value: "x"}, {name: fileField, file: "x.zip", value: "zip"}}
	got := readAll(formOf(t), multipartType, bytes.NewReader(multipartOf(t, append(unknown, known...)...)))
	ignored := []string{"", "big", "cpus", "map", strings.Repeat("n", maxFieldName) + "…", "zone"}
	if diff := cmp.Diff(ignored, got.ignored); diff != "" || got.err != nil || got.fields.ScenarioID != "x" {
		t.Errorf("read %+v; ignored (-want +got):\n%s", got, diff)
	}
	strict := newFormReader[struct{}](rest.NewAPI(http.NewServeMux(), rest.Keys{}), 0) // as for our own newer calls
	request := &http.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {multipartType}},
		Body: io.NopCloser(bytes.NewReader(multipartOf(t, unknown[0], known[1]))),
	}
	if _, err := strict.read(request, func(part, *struct{}) error { return nil }); !strings.Contains(err.Error(), "is not a field") {
		t.Errorf("a form of another call is read with %v", err)
	}
}

func TestFormsAreRefusedWithTheirFaults(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	zip := field{name: fileField, file: "x.zip", value: "zip"}
	id := field{name: "scenario_id", value: "x"}
	many := []field{id, zip}
	for range maxFields {
		many = append(many, field{name: "labels"})
	}
	for name, test := range map[string]struct {
		fields []field
		code   problem.Code
		detail string
	}{
		"two zips":         {[]field{id, zip, zip}, problem.Invalid, "twice"},
		"zip and address":  {[]field{id, zip, {name: "sumo_files_s3_url", value: "s3://b/k.zip"}}, problem.Invalid, "Keep one"},
		"zip and scenario": {[]field{id, zip, {name: "scenario", value: "ab"}}, problem.Invalid, "Keep one"},
		"two addresses": {
			[]field{id, {name: "scenario", value: "ab"}, {name: "sumo_files_s3_url", value: "s3://b/k.zip"}}, problem.Invalid, "Keep one",
		},
		"neither":         {[]field{id}, problem.Invalid, "No scenario"},
		"too many fields": {many, problem.Invalid, "more than 64 fields"},
		"a huge field":    {[]field{{name: "task_token", value: strings.Repeat("x", maxFieldBytes+1)}, zip}, problem.TooLarge, "task_token"},
		"unknown fields without end": {
			[]field{id, zip, {name: "a", value: strings.Repeat("x", mostSkipped/2)}, {name: "b", value: strings.Repeat("x", mostSkipped)}},
			problem.TooLarge, `"b" the last`,
		},
		"a fraction of cores": {
			[]field{id, {name: "cpu_request", value: "1.5"}, zip}, problem.Invalid, "body.cpu_request must be a whole number",
		},
		"infinity":          {[]field{id, {name: "end", value: "Inf"}, zip}, problem.Invalid, "body.end must be a number"},
		"not a number":      {[]field{id, {name: "scale", value: "NaN"}, zip}, problem.Invalid, "body.scale must be a number"},
		"a huge number":     {[]field{id, {name: "timeout_seconds", value: "9223372036854775807"}, zip}, problem.Invalid, "not valid"},
		"labels as a list":  {[]field{id, {name: "labels", value: "[]"}, zip}, problem.Invalid, "body.labels must be a JSON object"},
		"labels of numbers": {[]field{id, {name: "labels", value: `{"a": 1}`}, zip}, problem.Invalid, "body.labels.a"},
		"a member of the recording": {
			[]field{id, {name: "replay", value: `{"perod": 5}`}, zip}, problem.Invalid, "body.replay.perod unexpected property",
		},
		"a recording by number": {[]field{id, {name: "replay", value: "1"}, zip}, problem.Invalid, "body.replay expected boolean or object"},
		"a box of three":        {[]field{id, {name: "replay", value: `{"box": [0, 0, 1]}`}, zip}, problem.Invalid, "body.replay.box expected"},
		"a recorded word":       {[]field{id, {name: "replay", value: `{"edges": "a"}`}, zip}, problem.Invalid, "body.replay.edges expected"},
		"no seed":               {[]field{id, {name: "seed", value: "-1"}, zip}, problem.Invalid, "body.seed expected number >= 0"},
	} {
		got := readAll(form, multipartType, bytes.NewReader(multipartOf(t, test.fields...)))
		if problem.CodeOf(got.err) != test.code || !strings.Contains(got.err.Error(), test.detail) {
			t.Errorf("%s: got %v, want %s with %q", name, got.err, test.code, test.detail)
		}
		if p := new(problem.Error); name == "no seed" && (!errors.As(got.err, &p) || p.Items[0].Value != -1.) {
			t.Errorf("%s: the fault does not tell its value: %+v", name, p)
		}
	}
}

// RFC 2046 allows text before the first part and after the last. Who reads it by the rules need not read any amount of it.
func TestTextAroundTheFormsPartsIsSkippedOrRefusedClearly(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	parts := string(multipartOf(t, field{name: "scenario_id", value: "x"}, field{name: fileField, file: "x.zip", value: "zip"}))
	lines := func(n int) string { return strings.Repeat(strings.Repeat("x", 78)+"\r\n", n) }
	for name, test := range map[string]struct {
		body   string
		detail string // empty for a form that is accepted
	}{
		"a preamble":             {lines(3) + parts, ""},
		"a preamble of 40 KiB":   {lines(512) + parts, ""},
		"an epilogue":            {parts + lines(3), ""},
		"a long epilogue":        {parts + lines(100_000), ""},
		"a long preamble":        {lines(100_000) + parts, "more than 65536 bytes before the content of a part"},
		"a preamble in one line": {strings.Repeat("x", 100_000) + "\r\n" + parts, "something else stands where part 1 should begin"},
		"text between the parts": {
			strings.Replace(parts, "x\r\n--"+boundary+"\r\n", "x\r\n--"+boundary+"\r\ntext\r\n", 1),
			"something else stands where part 2 should begin",
		},
		"a part with a long header": {
			"--" + boundary + "\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n" + parts, "more than 65536 bytes before the content of a part",
		},
		"another boundary, at length": {
			strings.ReplaceAll(parts, boundary, "other") + lines(100_000), "Check that Content-Type names the boundary",
		},
	} {
		got := readAll(form, multipartType, strings.NewReader(test.body))
		switch {
		case test.detail == "" && (got.err != nil || !cmp.Equal(got.uploads, []string{"zip"})):
			t.Errorf("%s: read %+v", name, got)
		case test.detail != "" && (problem.CodeOf(got.err) != problem.Invalid ||
			!strings.Contains(strings.ToLower(got.err.Error()), strings.ToLower(test.detail))):
			t.Errorf("%s: got %v, want %q", name, got.err, test.detail)
		}
	}
}

// faultyReader gives what it has, and then breaks like a connection.
type faultyReader struct {
	io.Reader
	err error
}

func (f faultyReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func TestAFormThatBreaksOffIsRefusedWhereverThatIs(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	whole := multipartOf(t, field{name: "scenario_id", value: "x"}, field{name: fileField, file: "x.zip", value: strings.Repeat("zip", 50)})
	closing := len("\r\n--" + boundary + "--\r\n")
	broken := errors.New("connection reset")
	for at := range len(whole) - closing {
		for _, body := range []io.Reader{bytes.NewReader(whole[:at]), faultyReader{bytes.NewReader(whole[:at]), broken}} {
			if got := readAll(form, multipartType, body); problem.CodeOf(got.err) != problem.Invalid {
				t.Fatalf("cut at %d: %v", at, got.err)
			}
		}
	}
}

// FuzzForm holds that any body is either typed fields within their documented ranges, or refused as the client's fault.
func FuzzForm(f *testing.F) {
	form := formOf(f)
	id, zip := field{name: "scenario_id", value: "x"}, field{name: fileField, file: "x.zip", value: "zip"}
	for _, fields := range [][]field{
		nil, {id, zip}, {zip, id}, {id, {name: "sumo_files_s3_url", value: "s3://b/k"}}, {id, {name: "scenario", value: "ab"}},
		{id, zip, {name: "labels", value: `{"a": "b", "c": null}`}},
		{id, zip, {name: "labels", value: "null"}}, {id, zip, {name: "outputs", value: ",,"}}, {id, zip, {name: "outputs", value: "fcd,fcd"}},
		{id, zip, {name: "seed", value: "-0"}},
		{id, zip, {name: "end", value: "1e308"}}, {id, zip, {name: "begin", value: "0x1p-2"}}, {{name: "scenario_id", value: "\xff"}, zip},
	} {
		f.Add(true, multipartOf(f, fields...))
	}
	for _, text := range []string{
		"", "scenario_id=x&sumo_files_s3_url=s3://b/k", "scenario_id=%zz", "scenario_id=x;y", "a=b=c&&", "seed=1&seed=2",
	} {
		f.Add(false, []byte(text))
	}
	f.Fuzz(func(t *testing.T, isMultipart bool, body []byte) {
		contentType := "application/x-www-form-urlencoded"
		if isMultipart {
			contentType = multipartType
		}
		got := readAll(form, contentType, bytes.NewReader(body))
		checkReading(t, got)
	})
}

func checkReading(t *testing.T, got reading) {
	t.Helper()
	if got.err != nil {
		var p *problem.Error
		if !errors.As(got.err, &p) || p.Code != problem.Invalid && p.Code != problem.TooLarge || p.Detail == "" {
			t.Errorf("refused with %v", got.err)
		}
		return
	}
	r := got.fields.Run
	switch {
	case got.stored != (len(got.uploads) == 1) || len(got.uploads) > 1 || !onlyOne(
		got.stored, got.fields.S3URL != "", got.fields.Scenario != "",
	):
		t.Errorf("%d uploads were taken with the address %q and the scenario %q", len(got.uploads), got.fields.S3URL, got.fields.Scenario)
	case len([]rune(r.ScenarioID)) < 1 || len([]rune(r.ScenarioID)) > 100:
		t.Errorf("the name is %q", r.ScenarioID)
	case r.CPURequest < 1 || r.CPURequest > 32 || r.MemoryGi < 1 || r.MemoryGi > 128 || r.TimeoutSeconds < 0:
		t.Errorf("the sizes are %+v", r)
	case r.Seed != nil && (*r.Seed < 0 || *r.Seed >= 1<<31):
		t.Errorf("the seed is %d", *r.Seed)
	case r.Begin != nil && !(*r.Begin >= 0) || r.End != nil && !(*r.End >= 0) || r.StepLength != nil && !(*r.StepLength >= 0.001 &&
		*r.StepLength <= 60) ||
		r.Scale != nil && !(*r.Scale >= 0 && *r.Scale <= 1000):
		t.Errorf("the numbers are %+v", r)
	}
}

func onlyOne(is ...bool) bool {
	n := 0
	for _, yes := range is {
		if yes {
			n++
		}
	}
	return n == 1
}

// What the service sends out it also reads: the form of any run gives that run.
func TestFormsReadBack(t *testing.T) {
	t.Parallel()
	form := formOf(t)
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.StringMatching(`[a-zA-Z0-9 _äß:/&=%+-]{1,50}`).Draw(rt, "scenario_id")
		token := rapid.StringMatching(`[ -~\n]{0,50}`).Draw(rt, "task_token")
		values := url.Values{"scenario_id": {id}, "task_token": {token}, "sumo_files_s3_url": {"s3://b/k.zip"}}
		var fields []field
		for name := range values {
			fields = append(fields, field{name: name, value: values.Get(name)})
		}
		for contentType, body := range map[string][]byte{
			multipartType: multipartOf(t, fields...), "application/x-www-form-urlencoded": []byte(values.Encode()),
		} {
			got := readAll(form, contentType, bytes.NewReader(body))
			if got.err != nil || got.fields.ScenarioID != id || got.fields.TaskToken != token {
				rt.Errorf("%s: %q with %q became %+v, %v", contentType, id, token, got.fields, got.err)
			}
		}
	})
}
