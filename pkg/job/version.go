package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// VersionFault says why a version of SUMO cannot be chosen, as the end of a sentence about it; empty if it can.
func VersionFault(offer simulation.Offer, name string) string {
	v, offered := offer.Find(name)
	switch {
	case !offered:
		return "is not offered here; choose one of " + strings.Join(offer.Ready(), ", ")
	case !v.Ready:
		return fmt.Sprintf("is on offer but not installed on this machine: install it with make sumo VERSIONS=%s, or start with "+
			"local --sumo %[1]s; or choose one of %[2]s", name, strings.Join(offer.Ready(), ", "))
	}
	return ""
}

// GoneDefault is a note on a tenant whose default version of SUMO cannot be chosen any longer; empty if it can.
func GoneDefault(offer simulation.Offer, t tenant.Tenant) string {
	name := t.DefaultSumoVersion
	if successor := offer.Successor(name); name != "" && successor != name {
		return fmt.Sprintf("SUMO %s, this tenant's default, %s: jobs that name no version run on SUMO %s.", name, gone(offer, name), successor)
	}
	return ""
}

// gone says why a version that was chosen before cannot run.
func gone(offer simulation.Offer, name string) string {
	switch v, offered := offer.Find(name); {
	case v.Ready:
		return "cannot run it any longer"
	case offered:
		return "is not installed here (make sumo VERSIONS=" + name + ")"
	default:
		return "is no longer offered"
	}
}

// needs is what a run needs of a version of SUMO.
type needs struct {
	what string // that runs, for people
	// unmet is what keeps a version from running it.
	unmet func(version string) []problem.Item
}

// version chooses the SUMO that runs what n says: the one asked for, or else the one for which the job was accepted before, the tenant's
// default, or the newest on offer. What was not asked for gives way to the newest that can run it, with a note.
func (in *Intake) version(t tenant.Tenant, n needs, asked, accepted string) (version string, notes []string, err error) {
	wanted, because := in.Versions.Newest(), "the newest here"
	switch {
	case asked != "":
		wanted = asked
	case accepted != "":
		wanted, because = in.Versions.Successor(accepted), "that of the job that is repeated"
		if wanted != accepted && wanted != "" {
			notes, because = append(notes, goneVersion(in.Versions, accepted, wanted)), "the nearest to that"
		}
	case t.DefaultSumoVersion != "":
		wanted, because = in.Versions.Successor(t.DefaultSumoVersion), "this tenant's default"
		if note := GoneDefault(in.Versions, t); note != "" {
			notes, because = append(notes, note), "the nearest to this tenant's default"
		}
	}
	if wanted == "" {
		return "", nil, problem.New(problem.NotConfigured, "No version of SUMO is installed here. The operator installs the newest with "+
			"make sumo.")
	}
	faults := n.unmet(wanted)
	if len(faults) == 0 {
		return wanted, notes, nil
	}
	var fit []string
	for _, name := range in.Versions.Ready() {
		if len(n.unmet(name)) == 0 {
			fit = append(fit, name)
		}
	}
	if asked != "" || len(fit) == 0 {
		return "", nil, in.unfit(n, wanted, faults, fit)
	}
	version = fit[len(fit)-1]
	return version, append(notes, fmt.Sprintf("Runs on SUMO %s: SUMO %s, %s, cannot run %s (%s).",
		version, wanted, because, n.what, textOfItem(faults[0]))), nil
}

// unfit refuses to run what n says with a version that has faults with it, and names those that can.
func (in *Intake) unfit(n needs, version string, faults []problem.Item, fit []string) error {
	cure := "No version that is ready here can"
	if len(fit) > 0 {
		cure = fmt.Sprintf("These can: %s. Choose one with sumo_version, or leave it out", strings.Join(fit, ", "))
	}
	for _, v := range in.Versions {
		if !v.Ready && len(fit) == 0 && len(n.unmet(v.Name)) == 0 {
			cure += fmt.Sprintf("; SUMO %s can, but it is not installed on this machine: install it with make sumo VERSIONS=%[1]s", v.Name)
			break
		}
	}
	return problem.New(problem.ScenarioInvalid, "SUMO %s cannot run %s: %s. %s.", version, n.what, textOfItem(faults[0]), cure).
		WithItems(faults...)
}

func textOfItem(i problem.Item) string {
	if i.Location == "" {
		return strings.TrimSuffix(i.Message, ".")
	}
	return i.Location + ": " + strings.TrimSuffix(i.Message, ".")
}

// seed is that of every attempt: the one asked for, or else one that is drawn where the configuration wants chance, or else the
// configuration's; nil for SUMO's own.
func (in *Intake) seed(c scenario.Config, asked *int64) *int64 {
	switch {
	case asked != nil:
		return asked
	case c.Random:
		drawn := in.DrawSeed()
		return &drawn
	default:
		return c.Seed
	}
}

// awaited is the version for which a job was accepted, while that is not ready: see simulation.Options.AcceptedVersion.
func awaited(offer simulation.Offer, accepted string) string {
	if v, _ := offer.Find(accepted); v.Ready {
		return ""
	}
	return accepted
}

// Versioned is an engine that starts each job with a version of SUMO that is ready: in place of the one for which it was accepted, while
// that is not there, with the nearest newer one that can run its scenario. Where none can, the job ends. A job that starts again when its
// version is back runs on that.
type Versioned struct {
	Engine
	Versions simulation.Offer
	// Unnamed is the version of jobs that name none: instances of an earlier release submit such jobs while they are being replaced.
	Unnamed string
	// Config returns the configuration that a job runs.
	Config func(ctx context.Context, j Job) (scenario.Config, error)
	Record VersionRecord
}

// VersionRecord notes what becomes of jobs whose version of SUMO was removed.
type VersionRecord interface {
	// ReplaceVersion records that a job runs on another version than before, and for which it was accepted: its warnings lose stale and get
	// notes.
	ReplaceVersion(ctx context.Context, id, version, accepted string, stale, notes []string) error
	// Apply records updates and returns the ids of the jobs that they change.
	Apply(ctx context.Context, updates []Update) ([]string, error)
}

// Start implements Engine. Jobs that no version can run have ended when it returns, and jobs of one chunk get the same version.
func (v Versioned) Start(ctx context.Context, c Chunk) error {
	started := Chunk{ID: c.ID, Parallel: c.Parallel}
	for _, j := range c.Jobs {
		j, ok, err := v.settle(ctx, j)
		if err != nil {
			return err
		}
		if ok {
			started.Jobs = append(started.Jobs, j)
		}
	}
	if len(started.Jobs) == 0 {
		return nil
	}
	return v.Engine.Start(ctx, started)
}

// settle gives j a version that is ready; false if there is none, and j has ended.
func (v Versioned) settle(ctx context.Context, j Job) (_ Job, ok bool, err error) {
	planned := cmp.Or(j.Options.SumoVersion, v.Unnamed)
	accepted := cmp.Or(j.Options.AcceptedVersion, planned)
	j.Options.AcceptedVersion = "" // which is no option of the run
	version := v.Versions.Successor(accepted)
	if version == "" {
		return j, true, nil
	}
	if version != accepted || version != planned {
		var stale, notes []string
		if version, stale, notes, err = v.replace(ctx, j, planned, accepted); err != nil {
			return j, false, fmt.Errorf("replacing SUMO %s: %w", planned, err)
		}
		if version == "" {
			return j, false, nil
		}
		j.Warnings = slices.DeleteFunc(slices.Clone(j.Warnings), func(w string) bool { return slices.Contains(stale, w) })
		j.Warnings = append(j.Warnings, notes...)
	}
	j.Options.SumoVersion = version
	return j, true, nil
}

// replace chooses the version that runs a job in place of the one that was planned, and records it with notes that take the place of stale
// ones. It is empty if none can: then it ends the job.
func (v Versioned) replace(
	ctx context.Context, j Job, planned, accepted string,
) (version string, stale, notes []string, err error) {
	var c scenario.Config
	var n needs
	if j.Options.Program() {
		n = programNeeds(v.Versions, j.Options)
	} else {
		c, err = v.Config(ctx, j)
		n = needs{c.Path, c.Unfit}
	}
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Code == problem.ScenarioInvalid { // as this release checks it
		return "", nil, nil, v.fail(ctx, j, fmt.Sprintf("SUMO %s, for which the job was accepted, %s, and its scenario cannot run on another "+
			"version. %s", accepted, gone(v.Versions, accepted), p.Detail))
	}
	if err != nil {
		return "", nil, nil, err
	}
	var unfit []string
	for _, name := range v.Versions.Successors(accepted) {
		if faults := n.unmet(name); len(faults) > 0 {
			unfit = append(unfit, fmt.Sprintf("SUMO %s cannot run %s (%s).", name, n.what, textOfItem(faults[0])))
			continue
		}
		if name == planned { // as it was noted the last time
			return name, nil, nil, nil
		}
		for _, w := range j.Warnings {
			if strings.HasPrefix(w, acceptedFor(accepted)) {
				stale = append(stale, w)
			}
		}
		stale = append(stale, scenario.Changes(c, planned, j.Options.Outputs)...)
		if name != accepted {
			note := strings.Join(append([]string{goneVersion(v.Versions, accepted, name)}, unfit...), " ")
			zerolog.Ctx(ctx).Warn().Str("job", j.ID).Msg(note)
			notes = append(notes, note)
		}
		notes = append(notes, scenario.Changes(c, name, j.Options.Outputs)...)
		return name, stale, notes, v.Record.ReplaceVersion(ctx, j.ID, name, awaited(v.Versions, accepted), stale, notes)
	}
	return "", nil, nil, v.fail(ctx, j, fmt.Sprintf("SUMO %s, for which the job was accepted, %s, and no version here can run the scenario "+
		"in its place. %s Ask the operator for a version that can, or change the scenario and submit it again.",
		accepted, gone(v.Versions, accepted), strings.Join(unfit, " ")))
}

// fail ends a job that cannot be started.
func (v Versioned) fail(ctx context.Context, j Job, message string) error {
	zerolog.Ctx(ctx).Warn().Str("job", j.ID).Msg(message)
	_, err := v.Record.Apply(ctx, []Update{{
		ID: j.ID, State: Failed, Reason: simulation.InvalidScenario, Message: message, Progress: j.Progress,
	}})
	return err
}

// goneVersion notes that a job runs on another version than the one for which it was accepted.
func goneVersion(offer simulation.Offer, accepted, version string) string {
	return acceptedFor(accepted) + fmt.Sprintf("%s: it runs on SUMO %s.", gone(offer, accepted), version)
}

// acceptedFor begins each note of goneVersion's on a version.
func acceptedFor(version string) string {
	return fmt.Sprintf("SUMO %s, for which the job was accepted, ", version)
}
