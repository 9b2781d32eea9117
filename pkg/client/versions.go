package client

import (
	"context"
	"net/http"
)

// Version is a version of SUMO on offer.
type Version struct {
	Version       string   `json:"version"`
	Build         string   `json:"build"`
	Default       bool     `json:"default"`
	Installed     bool     `json:"installed"`
	Unsupported   bool     `json:"unsupported"`
	Architectures []string `json:"architectures"`
	CanRun        []string `json:"can_run"`
}

// VersionList is what the service offers, oldest first.
type VersionList struct {
	Document
	Versions []Version `json:"versions"`
	Notes    []string  `json:"notes"`
}

// Versions lists the versions of SUMO on offer.
func (c *Client) Versions(ctx context.Context) (l VersionList, err error) {
	err = c.call(ctx, request{method: http.MethodGet, path: "/versions"}, &l)
	return l, err
}
