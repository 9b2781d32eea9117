package job

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestCallbacksAreMadeRefusedOrIgnored(t *testing.T) {
	t.Parallel()
	const secure, plain = "https://example.org/hook", "http://example.org/hook"
	all := Request{TaskToken: "token", ProgressWebhook: &ProgressWebhook{URL: secure}, WebhookURL: secure}
	legacy := Request{TaskToken: "token", ProgressWebhook: &ProgressWebhook{URL: secure}}
	for name, tt := range map[string]struct {
		callbacks Callbacks
		request   Request
		refused   []string // locations
		ignored   []string // beginnings of warnings
		answers   bool
		progress  bool
	}{
		"all are enabled": {Callbacks{Webhooks: true, Tasks: true}, all, nil, nil, true, true},
		"none is": {
			Callbacks{}, all, []string{"body.task_token", "body.progress_webhook_url", "body.webhook_url"}, nil, false, false,
		},
		"only web hooks are": {Callbacks{Webhooks: true}, all, []string{"body.task_token"}, nil, false, false},
		"only tokens are":    {Callbacks{Tasks: true}, legacy, []string{"body.progress_webhook_url"}, nil, false, false},
		"the old ones are ignored": {
			Callbacks{IgnoreLegacy: true}, legacy, nil, []string{"task_token is ignored", "progress_webhook_url is ignored"}, false, false,
		},
		"ours is never ignored":          {Callbacks{IgnoreLegacy: true}, all, []string{"body.webhook_url"}, nil, false, false},
		"what is enabled is not ignored": {Callbacks{Webhooks: true, Tasks: true, IgnoreLegacy: true}, legacy, nil, nil, true, true},
		"http is refused": {
			Callbacks{Webhooks: true}, Request{ProgressWebhook: &ProgressWebhook{URL: plain}, WebhookURL: plain},
			[]string{"body.progress_webhook_url", "body.webhook_url"}, nil, false, false,
		},
		"http is ignored": {
			Callbacks{Webhooks: true, IgnoreLegacy: true}, Request{ProgressWebhook: &ProgressWebhook{URL: plain}},
			nil, []string{"progress_webhook_url is ignored: it must begin with https://"}, false, false,
		},
		"http is allowed": {
			Callbacks{Webhooks: true, Plain: true}, Request{ProgressWebhook: &ProgressWebhook{URL: plain}}, nil, nil, false, true,
		},
		"empty ones are not": {Callbacks{}, Request{ProgressWebhook: &ProgressWebhook{}}, nil, nil, false, false},
	} {
		var l ledger
		in, _ := l.intake()
		in.Callbacks = tt.callbacks
		tt.request.CPURequest, tt.request.MemoryGi = 1, 1
		err := in.Check(acme, tt.request)
		var p *problem.Error
		var refused []string
		if errors.As(err, &p) {
			for _, item := range p.Items {
				refused = append(refused, item.Location)
			}
		}
		if diff := cmp.Diff(tt.refused, refused); diff != "" || err != nil && problem.CodeOf(err) != problem.Invalid {
			t.Errorf("%s: refused with %v (-want +got):\n%s", name, err, diff)
		}
		if err != nil {
			continue
		}
		j, _, err := in.Accept(t.Context(), acme, rural, tt.request, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if j.TaskToken != tt.request.TaskToken || j.AnswersTask != tt.answers || (j.ProgressWebhook != nil) != tt.progress ||
			(j.Webhook != nil) != (tt.request.WebhookURL != "") || len(j.Warnings) != len(tt.ignored) {
			t.Errorf("%s: accepted as %+v", name, j)
			continue
		}
		for i, warning := range j.Warnings {
			if !strings.HasPrefix(warning, tt.ignored[i]) {
				t.Errorf("%s: warns that %s, want %q", name, warning, tt.ignored[i])
			}
		}
	}
}

func TestAProgressWebhookKnowsTheIntervalOfItsRun(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) *float64 { return &seconds }
	for name, tt := range map[string]struct {
		run, config [2]*float64
		want        [2]*float64
	}{
		"nobody says":            {want: [2]*float64{at(0), nil}},
		"the configuration says": {config: [2]*float64{at(100), at(200)}, want: [2]*float64{at(100), at(200)}},
		"the run says": {
			run: [2]*float64{at(0), at(50)}, config: [2]*float64{at(100), at(200)}, want: [2]*float64{at(0), at(50)},
		},
		"each says a part":             {run: [2]*float64{nil, at(150)}, config: [2]*float64{at(100), nil}, want: [2]*float64{at(100), at(150)}},
		"the configuration ends never": {config: [2]*float64{nil, at(-1)}, want: [2]*float64{at(0), nil}},
	} {
		asked := &ProgressWebhook{URL: "https://example.org", StartSec: at(7)}
		r := Request{ProgressWebhook: asked, Options: simulation.Options{Begin: tt.run[0], End: tt.run[1]}}
		config := scenario.Config{Begin: tt.config[0], End: tt.config[1]}
		r.settleProgress(Callbacks{Webhooks: true}, config.Interval(tt.run[0], tt.run[1]))
		want := &ProgressWebhook{URL: "https://example.org", StartSec: at(7), Begin: tt.want[0], End: tt.want[1]}
		if diff := cmp.Diff(want, r.ProgressWebhook); diff != "" || asked.Begin != nil {
			t.Errorf("%s, and what was asked for is %+v (-want +got):\n%s", name, asked, diff)
		}
	}
}

func TestARetryAnswersNoTokenAndCallsNoWebhookAgain(t *testing.T) {
	t.Parallel()
	l := ledger{jobs: map[string]Job{"old": {
		ID: "old", TenantID: "acme", State: Failed, CPURequest: 1, MemoryGi: 1, TaskToken: "token", AnswersTask: true,
		Webhook: &Webhook{ID: "h", URL: "https://example.org", Secret: "s"},
	}}}
	withProgress := l.jobs["old"]
	withProgress.ID, withProgress.ProgressWebhook = "progress", &ProgressWebhook{URL: "https://example.org"}
	l.jobs["progress"] = withProgress
	withPlain := withProgress
	withPlain.ID, withPlain.ProgressWebhook = "plain", &ProgressWebhook{URL: "http://example.org"}
	l.jobs["plain"] = withPlain
	in, _ := l.intake()
	in.Callbacks = Callbacks{} // and what is not repeated need not be enabled
	for id, warnings := range map[string]int{"old": 0, "progress": 1, "plain": 1} {
		got, _, err := in.Retry(t.Context(), tenant.Tenant{ID: "acme", Limits: acme.Limits}, id, "")
		if err != nil || got.TaskToken != "" || got.AnswersTask || got.Webhook != nil || got.ProgressWebhook != nil ||
			len(got.Warnings) != warnings {
			t.Errorf("%s is retried as %+v, %v", id, got, err)
		}
	}
}
