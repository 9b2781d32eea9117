package status

import (
	"bytes"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/report"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerReport(api huma.API, tags []string) {
	op := huma.Operation{
		OperationID: "get-study-report", Method: http.MethodGet, Path: "/studies/{id}/report.html", Tags: tags,
		Summary: "Write up a study as one HTML file",
		Description: "The answer in sentences, the question, plots, numbers, versions, seeds, and how to run it again. The file loads nothing " +
			"from elsewhere, has no scripts, and prints on A4. Of a large study it shows a part, and says what it leaves out and where that is.",
		Errors: []int{http.StatusNotFound},
	}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "OK", Content: map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	rest.Register(api, rest.Tenant, op, f.report)
}

type reportAnswer struct {
	ContentType string `header:"Content-Type"`
	Policy      string `header:"Content-Security-Policy"`
	Body        []byte
}

func (f *Function) report(ctx context.Context, in *studyRequest) (*reportAnswer, error) {
	d, err := f.numbers(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := report.Write(&page, d, f.Now()); err != nil {
		return nil, err
	}
	return &reportAnswer{
		ContentType: "text/html; charset=utf-8",
		Policy:      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		Body:        page.Bytes(),
	}, nil
}
