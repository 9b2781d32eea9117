package app

import (
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres"
)

func TestWebhooksReachWhatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	allow := []string{"hooks.internal", "10.20.0.0/16", "127.0.0.1"}
	submit := Parts{Config: config.Config{Webhooks: true, WebhookAllow: allow}, DB: &postgres.DB{}}.submit()
	for use, c := range map[string]job.Callbacks{"submissions": submit.Intake.Callbacks, "webhooks": submit.Webhooks.Callbacks} {
		for addr, want := range map[string]bool{
			"10.20.1.1": true, "127.0.0.1": true, "1.1.1.1": true, "10.21.1.1": false, "[fd00::1]": false, "169.254.169.254": false,
		} {
			if fault := c.URLFault("https://" + addr + "/"); (fault == "") != want {
				t.Errorf("the URL of %s in %s %q, want it accepted: %t", addr, use, fault, want)
			}
		}
	}
}

func TestChannelsAreOffUnlessEnabled(t *testing.T) {
	t.Parallel()
	off := Parts{}
	if off.poster() != nil || off.tasks() != nil {
		t.Error("there are channels without WEBHOOKS and STEP_FUNCTIONS_REGION")
	}
	on := Parts{Config: config.Config{Webhooks: true, TaskRegion: "eu-central-1"}}
	if on.poster() == nil || on.tasks() == nil {
		t.Error("there are no channels with WEBHOOKS and STEP_FUNCTIONS_REGION")
	}
}
