package job

import (
	"net/netip"
	"net/url"
	"strconv"
)

// Callbacks are the ways in which jobs report to others, as far as the operator has enabled them.
type Callbacks struct {
	Webhooks bool // webhook_url and progress_webhook_url
	Plain    bool // whether they may use http
	// Permits reports whether webhooks may go to an address; nil permits every address. Host names are looked up, and their addresses
	// checked, at each attempt.
	Permits func(netip.Addr) bool
	Tasks   bool // task_token
	// IgnoreLegacy accepts jobs with a task_token or progress_webhook_url that is not enabled, with a warning, instead of refusing them.
	IgnoreLegacy bool
}

// maxURL bounds the URL of a webhook, in bytes. Many web servers refuse longer ones.
const maxURL = 2048

// URLFault says what is wrong with the URL of a webhook, as the end of a sentence about it; empty if nothing is.
func (c Callbacks) URLFault(target string) string {
	if len(target) > maxURL {
		return "is longer than " + strconv.Itoa(maxURL) + " bytes"
	}
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return "is not the URL of a web server; write https://host/path"
	}
	switch {
	case u.Scheme == "http" && !c.Plain: // anyone on the network path can read what is sent without TLS
		return "must begin with https://; an operator can allow http with WEBHOOK_HTTP"
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https://"
	case u.User != nil:
		return "must not contain a user name or password: it is shown wherever the webhook is. Receivers verify signatures instead"
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return "must have a port from 1 to 65535"
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && c.Permits != nil && !c.Permits(addr) {
		return "leads to an address that is not public; an operator can allow it with WEBHOOK_ALLOW"
	}
	return ""
}
