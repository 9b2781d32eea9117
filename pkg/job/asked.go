package job

import (
	"fmt"
	"math"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// asked is one of the callbacks that a request asks for.
type asked struct {
	field, value string
	// fault says why the callback is not made, as the end of a sentence about the field; empty if it is.
	fault string
	// legacy is a callback of the predecessor, which an operator may have ignored.
	legacy bool
}

// callbacks lists those that r asks for.
func (r Request) callbacks(c Callbacks) (all []asked) {
	if r.TaskToken != "" {
		fault := ""
		if !c.Tasks {
			fault = "is not answered by this service, so that a state machine would wait in vain; leave it out and poll the job, or have " +
				"the operator set STEP_FUNCTIONS_REGION"
		}
		all = append(all, asked{field: "task_token", fault: fault, legacy: true})
	}
	if p := r.ProgressWebhook; p != nil && p.URL != "" {
		all = append(all, asked{field: "progress_webhook_url", value: p.URL, fault: c.webhookFault(p.URL), legacy: true})
	}
	if r.WebhookURL != "" {
		all = append(all, asked{field: "webhook_url", value: r.WebhookURL, fault: c.webhookFault(r.WebhookURL)})
	}
	return all
}

func (c Callbacks) webhookFault(url string) string {
	if !c.Webhooks {
		return "is not called by this service; leave it out and poll the job, or have the operator set WEBHOOKS"
	}
	return c.URLFault(url)
}

// settleProgress fills in the interval i of r's progress webhook, and drops a webhook that is not called. It returns the warnings of all
// callbacks of r that are not made. Check has refused those that are not ignored.
func (r *Request) settleProgress(c Callbacks, i scenario.Interval) (warnings []string) {
	for _, asked := range r.callbacks(c) {
		if asked.fault == "" {
			continue
		}
		warnings = append(warnings, fmt.Sprintf("%s is ignored: it %s.", asked.field, asked.fault))
		if asked.field == "progress_webhook_url" {
			r.ProgressWebhook = nil
		}
	}
	if r.ProgressWebhook == nil || r.ProgressWebhook.URL == "" {
		r.ProgressWebhook = nil
		return warnings
	}
	filled := *r.ProgressWebhook
	filled.Begin, filled.End = &i.Begin, nil
	if !math.IsInf(i.End, 1) {
		filled.End = &i.End
	}
	r.ProgressWebhook = &filled
	return warnings
}
