package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// sumos are the versions of SUMO on this machine.
type sumos struct {
	installed []release.Installation
	// distribution is the version that the distribution's package has; empty without one.
	distribution string
}

// findSumo installs the wanted versions that are missing, and returns all that can run. The distribution's SUMO is one of them: it is
// what ran before there was a choice.
func findSumo(ctx context.Context, cfg config.Config, sumoRun string, wanted []string, console io.Writer) (s sumos, err error) {
	dir, err := cfg.SumoFolder()
	if err != nil {
		return s, err
	}
	if len(wanted) > 0 {
		if err := wheel.Install(ctx, dir, console, wanted...); err != nil {
			return s, fmt.Errorf("installing SUMO: %w", err)
		}
	}
	s.installed = release.Installed(dir)
	out, err := exec.CommandContext(ctx, sumoRun, "--print-version").Output()
	if err != nil && len(s.installed) == 0 {
		return s, fmt.Errorf("SUMO is not installed: make sumo puts the newest version on this machine (%w)", err)
	}
	if err == nil {
		s.distribution = release.Short(string(out))
	}
	// A wheel goes before a package of the same version.
	if s.distribution != "" && !slices.ContainsFunc(s.installed, func(at release.Installation) bool { return at.Version == s.distribution }) {
		s.installed = append(s.installed, release.Installation{Version: s.distribution})
	}
	if cfg.Offer(s.installed).Newest() == "" {
		return s, errors.New("SUMO_VERSIONS leaves none of the installed versions of SUMO")
	}
	return s, nil
}

// environment leads sumo-run to a version.
func (s sumos) environment(version string) []string {
	i := slices.IndexFunc(s.installed, func(at release.Installation) bool { return at.Version == version && at.Binary != "" })
	if i < 0 {
		return os.Environ()
	}
	return append(os.Environ(), "SUMO_BINARY="+s.installed[i].Binary, "SUMO_HOME="+s.installed[i].Home)
}

// notice says which versions jobs run on.
func (s sumos) notice(cfg config.Config) string {
	offer := cfg.Offer(s.installed)
	standard := offer.Newest()
	if slices.Contains(s.installed, release.Installation{Version: standard}) {
		return fmt.Sprintf("Jobs run on SUMO %s, from this system's packages: make sumo installs the newest version.", standard)
	}
	text := fmt.Sprintf("Jobs run on SUMO %s", standard)
	others := slices.DeleteFunc(offer.Ready(), func(version string) bool { return version == standard })
	if len(others) > 0 {
		text += ", or on " + strings.Join(others, ", ") + " by sumo_version"
	}
	return text + "."
}

// programNotice says which versions programs of scenarios run with.
func programNotice(offer simulation.Offer) string {
	var versions []string
	for _, v := range offer {
		if v.Programs {
			versions = append(versions, v.Name)
		}
	}
	if len(versions) == 0 {
		return "Controllers and tools are enabled, but Python and libsumo are missing: make sumo-controllers installs them."
	}
	return "Controllers and tools run on SUMO " + strings.Join(versions, ", ") + ", for tenants whose limit controllers is true."
}
