// Package scenario defines what a traffic engineer uploads: a zip with a SUMO configuration (.sumocfg) and the files it
// names. It reads such archives without trusting them, and says everything that is wrong with one at once.
package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Scenario is one stored upload, or one derived from it. The same bytes uploaded again by the same tenant are the same scenario, and so
// are the same changes to them.
type Scenario struct {
	TenantID string
	// Digest is the SHA-256 of the zip, in hexadecimal, or, of a derived scenario, that of the list of its differences (see Derive).
	Digest string
	Name   string // for people, from the first upload; may be empty
	Key    string // the object that holds the zip
	Size   int64  // bytes of the zip
	// OverlayKey is the object that holds the files that a derived scenario has in place of those in the zip, and OverlaySize its bytes.
	// A derivation of a derived scenario is another overlay for the same zip. Empty for a scenario that was uploaded.
	OverlayKey  string
	OverlaySize int64
	Derived     Differences
	Manifest    Manifest
	CreatedAt   time.Time
}

// Differences are what a derived scenario has differently from its base. The paths are sorted.
type Differences struct {
	Base    string // the digest of the base; empty for a scenario that was uploaded
	Changed []string
	Added   []string
	Deleted []string
	// Total is how many paths there are. Lists of scenarios have only the first of them.
	Total int
}

// ListedPaths is how many paths of each kind the Differences of a scenario in a list have.
const ListedPaths = 10

// Manifest is what was found in the zip.
type Manifest struct {
	// Checked is the number of the checks that found it: see Current.
	Checked int `json:"checked,omitempty"`
	// Configs are the .sumocfg files, by path.
	Configs []Config `json:"configs"`
	// Files are all regular files except litter, by path.
	Files []File `json:"files"`
	// Unpacked is the sum of the files' sizes, in bytes.
	Unpacked int64 `json:"unpacked"`
	// Warnings do not keep the scenario from running.
	Warnings []string `json:"warnings,omitempty"`
}

// File is one regular file in the zip.
type File struct {
	Path string `json:"path"` // relative, with slashes
	Size int64  `json:"size"` // bytes, unpacked
}

// Config is one SUMO configuration. Where Problems is empty, plain SUMO of a version for which Unfit is empty runs it.
type Config struct {
	Path string `json:"path"`
	// Begin and End are the interval the configuration names, in seconds; nil when it names none.
	Begin *float64 `json:"begin,omitempty"`
	End   *float64 `json:"end,omitempty"`
	// Seed is the one that the configuration names; nil for SUMO's default. Random configurations draw another for each run.
	Seed   *int64 `json:"seed,omitempty"`
	Random bool   `json:"random,omitempty"`
	// Threads are those that the configuration has SUMO use, for vehicles or for routing; 0 if it says nothing.
	Threads int `json:"threads,omitempty"`
	// Outputs are the files that the configuration and its additional files will write, by path inside the scenario.
	Outputs []string `json:"outputs,omitempty"`
	// Problems keep the configuration from running, with any version of SUMO.
	Problems []problem.Item `json:"problems,omitempty"`
	// Needs are what it needs of SUMO's version.
	Needs []Need `json:"needs,omitempty"`
	// Written is the version of SUMO that wrote the network, "1.20", and Relies names the options whose defaults the scenario relies
	// on and which have changed between versions (see Changes). Both may be empty.
	Written string   `json:"written,omitempty"`
	Relies  []string `json:"relies,omitempty"`
	// Emissions is true when it makes SUMO write emissions.
	Emissions bool `json:"emissions,omitempty"`
	// Warnings do not keep it from running. They hold in every interval; Remarks has all.
	Warnings []Warning `json:"warnings,omitempty"`
	// Broken are the faults in its route files that matter only to a run that reads so far.
	Broken []BrokenRoutes `json:"broken,omitempty"`
	// Late are vehicles that SUMO drops, by file.
	Late []LateDepartures `json:"late,omitempty"`
	// Network and Demand are nil when there is a fault in what the configuration leads to, or it was stored before they
	// were counted.
	Network *Network `json:"network,omitempty"`
	Demand  *Demand  `json:"demand,omitempty"`
	// Untimed is true when something may depart at a time that Demand does not have, such as on an event or from a saved state, and
	// Endless when a flow has no end of its own.
	Untimed bool `json:"untimed,omitempty"`
	Endless bool `json:"endless,omitempty"`
	// Detectors is true when there are some whose output becomes a table.
	Detectors bool `json:"detectors,omitempty"`

	// The rest is found by Inspect each time, and not stored.

	// Options are all options that the configuration sets, in its order, as SUMO reads them.
	Options []Option `json:"-"`
	// Reads are the files that the run can reach, by path inside the scenario; Extract unpacks no others.
	Reads []string `json:"-"`
	// Rewrites are the names that the run's own copies of these files must have differently, by the file.
	Rewrites map[string][]Rewrite `json:"-"`
}

// Need is something that not every version of SUMO understands.
type Need struct {
	Since   string       `json:"since,omitempty"`  // the first version that does; empty for all up to Before
	Before  string       `json:"before,omitempty"` // the first version that no longer does; empty for all from Since on
	Problem problem.Item `json:"problem"`          // for a version outside, without the version
}

// Unfit returns what keeps a version of SUMO, such as "1.18", from running c.
func (c Config) Unfit(version string) []problem.Item {
	var items []problem.Item
	for _, n := range c.Needs {
		if n.Since != "" && release.Compare(version, n.Since) < 0 || n.Before != "" && release.Compare(version, n.Before) >= 0 {
			items = append(items, n.Problem)
		}
	}
	return items
}

// Strict returns what a strict run of c in an interval is refused for: what SUMO would drop or ignore.
func (c Config) Strict(i Interval) []problem.Item {
	var items []problem.Item
	for _, w := range c.Remarks(i) {
		if w.Strict {
			items = append(items, problem.Item{Location: w.Location, Message: w.Message})
		}
	}
	return items
}

// Warning is what a person should know about a configuration that runs.
type Warning struct {
	Location string `json:"location,omitempty"` // a file, with the line where there is one: "city.rou.xml:12"
	Message  string `json:"message"`
	// Strict is true of what SUMO drops or ignores in silence, which a strict run refuses.
	Strict bool `json:"strict,omitempty"`
}

func (w Warning) String() string {
	if w.Location == "" {
		return w.Message
	}
	return w.Location + ": " + w.Message
}

// Rewrite changes the value From of an attribute to To, in every element of the given name that has it. Where Key is not empty, the
// element is a <param> and only those with that key count.
type Rewrite struct {
	Element, Attribute, Key string
	From, To                string
}

// IsDigest reports whether s is a SHA-256 in the form in which scenarios are known by it.
func IsDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s
}

// checker numbers the checks of this package. Scenarios that were stored after other checks are checked anew when they are used.
const checker = 5

// Checker is the number of the checks of this release.
func Checker() int { return checker }

// Current reports whether the manifest was found by the checks of this release.
func (m Manifest) Current() bool { return m.Checked == checker }

// Place is a scenario's position in the list of all.
type Place struct {
	CreatedAt time.Time
	Digest    string
}

// Limits bound what is accepted.
type Limits struct {
	Upload   int64 // bytes of the zip
	Unpacked int64 // bytes of all files together
	Entries  int   // files and folders in the zip; also the most folders that its files are in, and its outputs
	// Ratio is the most that one entry may unpack to, as a multiple of its packed size. It applies beyond a size at
	// which a false alarm is no loss: small files of zeros compress further than any bomb.
	Ratio int64
	// Names is how much may be kept of the names in files, in bytes.
	Names int
	// SUMOVersion is the version that runs, such as "1.28"; empty is the newest. It decides only where names of outputs point.
	SUMOVersion string
	// Config is a file that is judged as a configuration whatever its name, by its path or a base name that only it has; may be empty.
	Config string
	// Program is set where a program of the scenario, or one of SUMO's tools, runs and not SUMO alone. It may make files that are not there
	// yet, and needs no configuration: what keeps SUMO from running one is no fault then, but a warning of the manifest. Each file of the zip
	// is read, so that a damaged one is a fault even if no configuration leads to it.
	Program bool
}

// DefaultLimits allow a large city with a day's demand.
func DefaultLimits() Limits {
	return Limits{Upload: 2 << 30, Unpacked: 16 << 30, Entries: 10_000, Ratio: gz.MostExpansion, Names: memoryBudget}
}
