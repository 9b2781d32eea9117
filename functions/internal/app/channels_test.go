package app

import (
	"net/netip"
	"testing"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/config"
)

func TestWebhooksReachWhatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	allow := []string{"hooks.internal", "10.20.0.0/16", "127.0.0.1"}
	c := Parts{Config: config.Config{Webhooks: true, WebhookAllow: allow}, Log: zerolog.Nop()}.callbacks()
	for addr, want := range map[string]bool{"10.20.1.1": true, "127.0.0.1": true, "10.21.1.1": false, "1.1.1.1": true, "fd00::1": false} {
		if got := c.Permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is permitted: %t, want %t", addr, got, want)
		}
	}
	if fault := c.URLFault("https://10.21.1.1/"); fault == "" {
		t.Error("the URL of a private address is accepted")
	}
	if fault := c.URLFault("https://10.20.1.1/"); fault != "" {
		t.Errorf("the URL of an allowed address %s", fault)
	}
}

func TestChannelsAreOffUnlessEnabled(t *testing.T) {
	t.Parallel()
	if off := (Parts{}); off.poster() != nil {
		t.Error("there is a poster without WEBHOOKS")
	}
	if on := (Parts{Config: config.Config{Webhooks: true}}); on.poster() == nil {
		t.Error("there is no poster with WEBHOOKS")
	}
}
