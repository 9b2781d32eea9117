package status

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// revalidate lets the caller keep an answer and reuse it after asking whether it is still current.
const revalidate = "private, no-cache"

// matches reports whether If-None-Match names tag: alone, in a list, weakened by a compressing proxy, or as * for any
// (RFC 9110, section 13.1.2).
func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}

// etag changes whenever a job's row does.
func etag(j job.Job) string { return fmt.Sprintf(`"%x"`, j.UpdatedAt.UnixMicro()) }

// notModified documents the answer without a body.
func notModified() map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: "Not Modified"}}
}

// viewTag names what the answer is made from.
func viewTag(j job.Job, name string) string { return `"` + j.ID + "/" + name + `"` }

// weak marks the tag of an answer that is sent with and without gzip (RFC 9110, section 8.8.1).
func weak(tag string) string { return "W/" + tag }

// viewAge lets a browser show a job again without asking. It is short because an operator may remove results at any time.
// A browser that now uses another key asks again, and so does a page of another site: which site may read an answer stands in the
// answer (CORS), and this header takes the place of the one that says so.
const (
	viewAge  = "private, max-age=3600"
	viewVary = "Accept-Encoding, Authorization, Origin"
)

func unchanged(tag, age string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("ETag", weak(tag))
		c.SetHeader("Cache-Control", age)
		c.SetHeader("Vary", viewVary)
		c.SetStatus(http.StatusNotModified)
	}}
}

// stored answers with JSON in gzip as it is kept, and unpacks it for clients that do not accept that.
func stored(tag, age string, packed io.ReadCloser) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer packed.Close()
		c.SetHeader("Content-Type", "application/json")
		c.SetHeader("ETag", weak(tag))
		c.SetHeader("Cache-Control", age)
		c.SetHeader("Vary", viewVary)
		var body io.Reader = packed
		var err error
		if acceptsGzip(c.Header("Accept-Encoding")) {
			c.SetHeader("Content-Encoding", "gzip")
		} else {
			body, err = gzip.NewReader(packed)
		}
		if err == nil {
			c.SetStatus(http.StatusOK)
			_, err = io.Copy(rest.StreamOut(c), body)
		}
		if err != nil {
			rest.Abort(c, err)
		}
	}}
}

// acceptsGzip reads an Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(item, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		weight = strings.ReplaceAll(weight, " ", "")
		return strings.TrimRight(strings.TrimPrefix(weight, "q="), ".0") != "" || weight == ""
	}
	return false
}

// packed is v as JSON in gzip.
func packed(v any) (io.ReadCloser, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return io.NopCloser(&out), nil
}
