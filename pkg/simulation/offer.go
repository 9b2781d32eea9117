package simulation

import (
	"slices"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Version is one version of SUMO that jobs may choose.
type Version struct {
	Name  string // as jobs name it: "1.28"
	Build string // as SUMO names itself, "1.28.0"; empty where it is not known before a run
	// Image is the container image that runs it, and ProgramImage the one for programs; empty outside containers.
	Image, ProgramImage string
	// Ready is true where runs can start with it. A version that is offered may still have to be installed.
	Ready bool
	// Supported is true of the versions that this release is tested with. An operator may offer others.
	Supported bool
	// Programs is true where programs that steer SUMO, and its tools, can run with it: Python and libsumo are there.
	Programs bool
	// Architectures are those of the processors that it runs on, in Go's terms; empty where that is not known.
	Architectures []string
}

// Can lists what scenarios may use with v and not with every version on offer.
func (v Version) Can() []string {
	var can []string
	for _, f := range features {
		if release.Compare(v.Name, f.since) >= 0 {
			can = append(can, f.what)
		}
	}
	return can
}

// features are what scenarios stumble over most often, by the first version that has it.
var features = []struct{ since, what string }{
	{"1.20", "the vehicle classes container, cable_car, subway, aircraft, wheelchair, scooter and drone, which networks from " +
		"OpenStreetMap name since 1.20"},
	{"1.24", "outputs as CSV"},
	{"1.26", "outputs as Parquet"},
}

// Offer is what an installation of the service offers, oldest first.
type Offer []Version

// Find returns the version called name.
func (o Offer) Find(name string) (v Version, ok bool) {
	i := slices.IndexFunc(o, func(v Version) bool { return v.Name == name })
	if i < 0 {
		return Version{}, false
	}
	return o[i], true
}

// Ready lists the versions that runs can start with, oldest first.
func (o Offer) Ready() []string {
	var names []string
	for _, v := range o {
		if v.Ready {
			names = append(names, v.Name)
		}
	}
	return names
}

// Newest is the version that runs where nothing else is chosen: the newest supported one that is ready, or else the newest that is
// ready. It is empty where none is.
func (o Offer) Newest() string {
	newest := ""
	for _, supported := range []bool{false, true} {
		for _, v := range o {
			if v.Ready && (v.Supported || !supported) {
				newest = v.Name
			}
		}
	}
	return newest
}

// Successor returns the version that runs in place of name: itself if it is ready, or else the nearest newer one, or else the newest.
func (o Offer) Successor(name string) string {
	if all := o.Successors(name); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Successors lists the versions that can run in place of name, the best first: see Successor.
func (o Offer) Successors(name string) []string {
	newer := slices.DeleteFunc(o.Ready(), func(ready string) bool { return release.Compare(ready, name) < 0 })
	if newest := o.Newest(); len(newer) == 0 && newest != "" {
		return []string{newest}
	}
	return newer
}
