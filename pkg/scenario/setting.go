package scenario

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// trafficTopics are the topics of options that change traffic only, which a study may set. The others change what is read, written or
// reported.
var trafficTopics = map[string]bool{
	"processing": true, "routing": true, "mesoscopic": true, "emissions": true, "battery": true, "taxi_device": true, "toc_device": true,
	"driver_state_device": true, "friction_device": true, "glosa_device": true, "bluelight_device": true, "elechybrid_device": true,
	"fcd_replay_device": true,
}

// fixed are other options that a study may not set, each with the reason and the cure.
var fixed = map[string]string{
	"begin": fieldOfRun("begin"), "end": fieldOfRun("end"), "step-length": fieldOfRun("step_length"), "scale": fieldOfRun("scale"),
	"seed": seedsOfStudy, "random": seedsOfStudy,
	"tripinfo-output.write-unfinished": fieldOfRun("unfinished_trips"),
	"configuration-file":               fieldOfRun("config_file"),
	"threads":                          "decides how many cores a run needs: set it in the configuration",
	"device.rerouting.threads":         "decides how many cores a run needs: set it in the configuration",
	// The check follows SUMO in what it reads of a route file, and what it drops.
	"route-steps":               "decides which departures SUMO reads and drops, which is checked before: set it in the configuration",
	"ignore-route-errors":       "decides which faults end a run, which is checked before: set it in the configuration",
	"emissions.volumetric-fuel": "changes units of outputs: set it in the configuration",
}

// choices are the values of options that have a few. SUMO ends at some others, and ignores the rest until it needs the option.
var choices = map[string][]string{
	"collision.action":              {"none", "warn", "teleport", "remove"},
	"intermodal-collision.action":   {"none", "warn", "teleport", "remove"},
	"pedestrian.model":              {"nonInteracting", "striping", "jupedsim"}, // see remotePedestrians
	"pedestrian.jupedsim.model":     {"CollisionFreeSpeed", "CollisionFreeSpeedV2", "GeneralizedCentrifugalForce", "SocialForce"},
	"routing-algorithm":             {"dijkstra", "astar", "CH", "CHWrapper", "CCH"},
	"person-device.rerouting.scope": {"stage", "sequence", "trip"},
	// Nobody controls taxis from outside, for which there is "traci".
	"device.taxi.dispatch-algorithm":        {"greedy", "greedyClosest", "greedyShared", "routeExtension"},
	"device.taxi.idle-algorithm":            {"stop", "randomCircling", "taxistand"},
	"device.stationfinder.rescueAction":     {"none", "remove", "tow"},
	"device.stationfinder.chargingStrategy": {"none", "balanced", "latest"},
}

const seedsOfStudy = "comes with each replication: give the seeds in replications"

func fieldOfRun(name string) string { return "is a field of the run: set " + name + " instead" }

// OptionName returns SUMO's own name for an option that is given by it, or by a synonym such as "t"; ok is false if no SUMO has it.
func OptionName(name string) (own string, ok bool) {
	o := options()[name]
	if o == nil {
		return "", false
	}
	return o.name, true
}

// OptionFault says why a study may not set an option to a value, with the cure, or "". A study may set what changes traffic and is neither
// a field of the run nor settled by the service.
func OptionFault(name, value string) string {
	o := options()[name]
	if o == nil {
		hint := ""
		if near := nearestOption(strings.TrimLeft(name, "-")); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Sprintf("the option %s is unknown to every SUMO up to %s%s", quote(name), newestVersion(), hint)
	}
	if reason := o.unsettable(); reason != "" {
		return "the option " + o.name + " " + reason
	}
	fault := o.typeFault(value)
	switch n, isNumber := xml.Float(value); {
	case value == "":
		fault = "is empty: give one, or leave out the option"
	case !isText(value):
		fault = "contains control characters: write plain text"
	case len(value) > maxPathValue:
		fault = fmt.Sprintf("is longer than %d bytes: shorten it", maxPathValue)
	case fault != "":
	case o.kind == "FLOAT" && isNumber && (math.IsInf(n, 0) || math.IsNaN(n)):
		fault = "is not finite"
	case o.name == "pedestrian.model" && value == "remote":
		return remotePedestrians
	case choices[o.name] != nil && !slices.Contains(choices[o.name], value):
		fault = "is not one of " + strings.Join(choices[o.name], ", ")
	default:
		fault = o.valueFault(value)
	}
	if fault != "" {
		return fmt.Sprintf("the value %s of %s %s", quote(value), o.name, fault)
	}
	return ""
}

// unsettable says why a study may not set o, or "".
func (o *option) unsettable() string {
	_, files := o.use()
	switch {
	case fixed[o.name] != "":
		return fixed[o.name]
	case forbidden[o.name] != "":
		return "is not allowed (" + forbidden[o.name] + ")"
	case files:
		return "names files: make a variant of the study with another scenario"
	case affixes[o.name], !trafficTopics[o.topic], strings.HasPrefix(o.name, "device.emissions."):
		return "changes what a run reads, writes or reports, not the traffic: set it in the configuration"
	}
	return ""
}

// Set returns c as it would be if its configuration set these options, which OptionFault has accepted.
func (c Config) Set(values map[string]string) Config {
	c.Options, c.Needs, c.Relies = slices.Clone(c.Options), slices.Clone(c.Needs), slices.Clone(c.Relies)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		o := options()[name]
		if o == nil {
			continue
		}
		set := Option{Name: o.name, Value: values[name]}
		if i := slices.IndexFunc(c.Options, func(other Option) bool { return other.Name == o.name }); i >= 0 {
			c.Options[i] = set
		} else {
			c.Options = append(c.Options, set)
		}
		for _, need := range o.needs("") {
			if !slices.ContainsFunc(c.Needs, func(n Need) bool { return n.Problem.Message == need.Problem.Message }) {
				c.Needs = append(c.Needs, need)
			}
		}
		c.Relies = slices.DeleteFunc(c.Relies, func(option string) bool { return option == o.name })
	}
	return c
}
