package status

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

func (f *Function) registerVersions(api huma.API) {
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "list-versions", Method: http.MethodGet, Path: "/versions", Tags: []string{"Jobs"},
		Summary: "List the versions of SUMO on offer",
		Description: "Any installed one can be a job's sumo_version. A job that names none runs on the default, or on the newest that can " +
			"run it.",
	}, f.versions)
}

// Version is a version of SUMO on offer.
type Version struct {
	Version       string   `json:"version" doc:"The value for a job's sumo_version." example:"1.28"`
	Build         string   `json:"build" doc:"Full version; empty if it is not known before a run." example:"1.28.0"`
	Default       bool     `json:"default" doc:"Whether it runs this tenant's jobs that name no version."`
	Installed     bool     `json:"installed" doc:"Whether jobs can choose it. One that is not must first be installed: make sumo VERSIONS=…"`
	Unsupported   bool     `json:"unsupported" doc:"True if the operator offers it although this release is not tested with it."`
	Architectures []string `json:"architectures" doc:"Processors that it runs on, in Go's terms; empty if not known." example:"amd64"`
	Controllers   bool     `json:"controllers" doc:"Whether controllers and tools can run with it: they are enabled, and Python and libsumo are there."`
	CanRun        []string `json:"can_run" doc:"What scenarios may use with it and not with every version on offer."`
}

type versionsAnswer struct {
	Body struct {
		Versions []Version `json:"versions" doc:"Oldest first."`
		Notes    []string  `json:"notes" doc:"Remarks, such as on a default that is no longer offered."`
	}
}

func (f *Function) versions(ctx context.Context, _ *struct{}) (*versionsAnswer, error) {
	t := rest.TenantOf(ctx)
	standard := f.Versions.Newest()
	if t.DefaultSumoVersion != "" {
		standard = f.Versions.Successor(t.DefaultSumoVersion)
	}
	out := &versionsAnswer{}
	out.Body.Versions, out.Body.Notes = make([]Version, len(f.Versions)), f.notes(t)
	for i, v := range f.Versions {
		out.Body.Versions[i] = Version{
			Version: v.Name, Build: v.Build, Default: v.Name == standard, Installed: v.Ready, Unsupported: !v.Supported,
			Controllers:   v.Programs,
			Architectures: append([]string{}, v.Architectures...), CanRun: append([]string{}, v.Can()...),
		}
	}
	return out, nil
}
