package requests

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
)

// Any generates requests for op. Most parts of most requests are valid, so that what is invalid gets as far as it
// can. known gives meaningful values, which are used among others.
func Any(d *contract.Document, op contract.Operation, known map[string][]string) *rapid.Generator[Request] {
	return rapid.Custom(func(t *rapid.T) Request {
		g := generator{d, t, known}
		q := Request{Method: op.Method, Path: op.Path, Header: http.Header{}}
		if g.oneIn(30) {
			q.Method = rapid.SampledFrom([]string{"PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"}).Draw(t, "method")
		}
		var query []string
		for _, p := range op.Parameters {
			switch p.In {
			case "path":
				q.Path = strings.ReplaceAll(q.Path, "{"+p.Name+"}", g.segment(p))
			case "query":
				for !p.Required && g.oneIn(4) || p.Required && len(query) == 0 { // now and then more than once
					query = append(query, url.QueryEscape(p.Name)+"="+url.QueryEscape(text(g.value(p.Name, p.Schema))))
				}
			case "header":
				if p.Required || g.oneIn(2) {
					q.Header.Set(p.Name, printable(text(g.value(p.Name, p.Schema))))
				}
			}
		}
		if g.oneIn(15) {
			query = append(
				query,
				rapid.SampledFrom([]string{"%zz", ";", "a=b;c=d", "=", "&&", "unknown=1", "%00=%ff", strings.Repeat("q", 8000)}).Draw(t, "odd query"),
			)
		}
		q.Query = strings.Join(query, "&")
		if len(op.Bodies) > 0 {
			g.body(op, &q)
		} else if g.oneIn(15) {
			q.Body = []byte(rapid.SampledFrom(nasty).Draw(t, "body of a call without one"))
		}
		if g.oneIn(4) {
			name := rapid.SampledFrom(oddHeaders).Draw(t, "header")
			q.Header.Set(name, printable(rapid.SampledFrom(append(oddValues, nasty...)).Draw(t, "its value")))
		}
		return q
	})
}

// generator draws the parts of one request.
type generator struct {
	d     *contract.Document
	t     *rapid.T
	known map[string][]string
}

// oneIn picks the last of n, as rapid prefers the first ones.
func (g generator) oneIn(n int) bool { return rapid.IntRange(1, n).Draw(g.t, "chance") == n }

// nasty are texts that have broken programs.
var nasty = []string{
	"", " ", "null", "undefined", "true", "-1", "0", "1.5", "1e400", "NaN", "-Infinity", "0x10", "٣", "99999999999999999999",
	"9223372036854775807", "-9223372036854775808", "2147483648",
	"\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\u202eabc", "日本語", "🚦", "e\u0301", "\ufeff", "\r\nX-Evil: 1", "\t", "\x1b[31m",
	"'; DROP TABLE jobs; --", "\\", "%", "_", "%00", "../../etc/passwd", "..", ".", "/", "//", "a/b", "a%2Fb", "?", "#", "${jndi:ldap://x}",
	"{{7*7}}",
	"<script>alert(1)</script>", "[]", "{}", `"`, "=", "a=b", "=b", "a=", "\x00=b",
	"2024-13-45T99:99:99Z", "0000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "294277-01-01T00:00:00Z",
	"2024-05-01T06:00:00+99:99",
	"1h", "-1h", "1ns", "9999999h", "https://user:pw@[::1]:99999/", "s3://", "s3://bucket", "s3:///key", "s3://bucket/../x",
	"file:///etc/passwd", "http://169.254.169.254/",
	"01890A5D-AC96-774B-BCCE-B302099A8057", "{01890a5d-ac96-774b-bcce-b302099a8057}", "00000000-0000-0000-0000-000000000000",
	"01890a5dac96774bbcceb302099a8057",
	"W/\"1\"", "*", "MTo", "MTp4", "MTowMTg5MGE1ZC1hYzk2LTc3NGItYmNjZS1iMzAyMDk5YTgwNTc",
	strings.Repeat("x", 101), strings.Repeat("ü", 300), strings.Repeat("9", 400), strings.Repeat("A", 20_000),
}

var oddHeaders = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Cookie", "Forwarded", "Idempotency-Key", "If-Match", "If-None-Match",
	"If-Modified-Since", "Last-Event-ID", "Origin", "Prefer", "Range", "Referer", "Te", "Traceparent", "User-Agent", "X-Forwarded-For",
	"X-Http-Method-Override",
	"X-Request-Id", "X-Unknown",
}

var oddValues = []string{
	"*/*;q=0", "application/xml", "gzip, br;q=nonsense", "bytes=0-", "bytes=5-1,,", "for=_x;by=\"", "1.2.3.4, , ::1", "a=b; c",
}

// printable returns text without what an HTTP client refuses to send in a header.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text[:min(len(text), 4000)])
}

// segment is a path segment. net/http cleans "." and ".." out of paths before our code sees them.
func (g generator) segment(p contract.Parameter) string {
	if len(g.known[p.Name]) > 0 && !g.oneIn(4) {
		return url.PathEscape(rapid.SampledFrom(g.known[p.Name]).Draw(g.t, p.Name))
	}
	s := text(g.value(p.Name, p.Schema))
	if s == "" || s == "." || s == ".." {
		s = "~"
	}
	return url.PathEscape(s[:min(len(s), 4000)])
}

// value returns a value that the schema allows, or one that it should reject.
func (g generator) value(name string, schema contract.Schema) any {
	switch {
	case len(g.known[name]) > 0 && !g.oneIn(4):
		return rapid.SampledFrom(g.known[name]).Draw(g.t, name)
	case g.oneIn(4):
		return g.wrong()
	default:
		return g.right(schema)
	}
}

// wrong returns any JSON value, regardless of the schema.
func (g generator) wrong() any {
	switch rapid.IntRange(0, 7).Draw(g.t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(g.t, "bool")
	case 2:
		return json.Number(
			rapid.SampledFrom(
				[]string{"-1", "0", "1.5", "-0.0", "1e308", "1e400", "1e-400", "123456789012345678901234567890", "2147483648", "9223372036854775808"},
			).Draw(g.t, "number"),
		)
	case 3:
		return []any{rapid.SampledFrom(nasty).Draw(g.t, "element")}
	case 4:
		return map[string]any{rapid.SampledFrom(nasty).Draw(g.t, "member"): rapid.SampledFrom(nasty).Draw(g.t, "its value")}
	default:
		return rapid.SampledFrom(nasty).Draw(g.t, "text")
	}
}

// right returns a value that the schema allows.
func (g generator) right(schema contract.Schema) any {
	schema = g.d.Resolve(schema)
	if list, ok := schema["enum"].([]any); ok && len(list) > 0 {
		return rapid.SampledFrom(list).Draw(g.t, "enum")
	}
	least, _ := schema["minimum"].(float64)
	most, bounded := schema["maximum"].(float64)
	if !bounded {
		most = least + 1_000_000
	}
	switch typeOf(g.d, schema) {
	case "object":
		return g.object(schema)
	case "array":
		items, _ := schema["items"].(map[string]any)
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return generator{g.d, t, g.known}.right(items) }), 0, 3).Draw(g.t, "array")
	case "integer":
		return rapid.Int64Range(int64(least), int64(most)).Draw(g.t, "integer")
	case "number":
		return rapid.Float64Range(least, most).Draw(g.t, "number")
	case "boolean":
		return rapid.Bool().Draw(g.t, "boolean")
	}
	if _, formatted := schema["format"]; formatted || g.oneIn(2) {
		return plain(g.d, schema)
	}
	longest, ok := schema["maxLength"].(float64)
	if !ok {
		longest = 50
	}
	return rapid.StringN(1, int(longest), -1).Draw(g.t, "string")
}

// object has the required members, some others, and now and then a wrong, missing or unknown one.
func (g generator) object(schema contract.Schema) map[string]any {
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		needed := slices.Contains(required, any(name)) || isFile(g.d, schema, name)
		if needed && !g.oneIn(40) || !needed && g.oneIn(6) {
			out[name] = g.member(name, property(g.d, schema, name))
		}
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok && g.oneIn(2) {
		out[rapid.StringN(1, 20, -1).Draw(g.t, "name")] = g.right(more)
	}
	if g.oneIn(20) {
		out[rapid.SampledFrom(nasty).Draw(g.t, "name")] = g.wrong()
	}
	return out
}

// member is wrong less often than a parameter: an object has many, and one fault hides the others.
func (g generator) member(name string, schema contract.Schema) any {
	if len(g.known[name]) > 0 && !g.oneIn(10) {
		return typed(g.d, schema, rapid.SampledFrom(g.known[name]).Draw(g.t, name))
	}
	if g.oneIn(15) {
		return g.wrong()
	}
	return g.right(schema)
}

func (g generator) body(op contract.Operation, q *Request) {
	media := rapid.SampledFrom(slices.Sorted(maps.Keys(op.Bodies))).Draw(g.t, "media type")
	schema := op.Bodies[media]
	fields := g.right(schema)
	raw, err := encode(g.d, schema, media, fields, q.Header)
	if err != nil { // numbers that JSON cannot represent
		raw = []byte(strings.Repeat("[", 5000))
	}
	q.Body = raw
	switch rapid.IntRange(0, 29).Draw(g.t, "body") {
	case 23:
		q.Body = raw[:rapid.IntRange(0, len(raw)).Draw(g.t, "cut")]
	case 24:
		q.Body = []byte(rapid.SampledFrom(nasty).Draw(g.t, "whole body"))
	case 25:
		q.Body = []byte(rapid.SampledFrom([]string{
			strings.Repeat("[", 200_000), strings.Repeat(`{"a":`, 100_000), strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
			`{"a":1,"a":2}`, `{"labels":` + strings.Repeat(`{"a":`, 5_000) + "1" + strings.Repeat("}", 5_001), "\"\\ud800\"",
		}).Draw(g.t, "odd JSON"))
	case 26:
		q.Header.Set("Content-Type", rapid.SampledFrom([]string{
			"", "text/plain", "application/json; charset=utf-16", "application/JSON", "a/b/c;;", "multipart/form-data",
			"multipart/form-data; boundary=", "multipart/form-data; boundary=other",
			"multipart/mixed; boundary=x", "application/x-www-form-urlencoded; charset=x", "application/octet-stream", "application/problem+json",
			strings.Repeat("x", 1000),
		}).Draw(g.t, "content type"))
	case 27: // within a form: its frame
		for _, change := range [][2]string{
			{"form-data", "attachment"}, {"name=", "nom="}, {"\r\n", "\n"}, {"--", "-"}, {"filename=\"upload.zip\"", "filename=\"../../x\""},
		} {
			if g.oneIn(3) {
				q.Body = bytes.ReplaceAll(q.Body, []byte(change[0]), []byte(change[1]))
			}
		}
	case 28:
		q.Body = append(bytes.Clone(raw), raw...)
	case 29:
		if len(raw) > 0 {
			q.Body = bytes.Clone(raw)
			q.Body[rapid.IntRange(0, len(raw)-1).Draw(g.t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(g.t, "flip"))
		}
	}
}
