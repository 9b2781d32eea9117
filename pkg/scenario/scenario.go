// Package scenario defines what a traffic engineer uploads: a zip with a SUMO configuration (.sumocfg) and the files it
// names. It reads such archives without trusting them, and says everything that is wrong with one at once.
package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// Scenario is one stored upload. The same bytes uploaded again by the same tenant are the same scenario.
type Scenario struct {
	TenantID  string
	Digest    string // SHA-256 of the zip, in hexadecimal
	Name      string // for people, from the first upload; may be empty
	Key       string // the object that holds the zip
	Size      int64  // bytes of the zip
	Manifest  Manifest
	CreatedAt time.Time
}

// Manifest is what was found in the zip.
type Manifest struct {
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

// Config is one SUMO configuration.
type Config struct {
	Path string `json:"path"`
	// Begin and End are the interval the configuration names, in seconds; nil when it names none.
	Begin *float64 `json:"begin,omitempty"`
	End   *float64 `json:"end,omitempty"`
	// Outputs are the files that the configuration and its additional files will write, by path inside the scenario.
	Outputs []string `json:"outputs,omitempty"`
	// Options are all options that the configuration sets, in its order, as SUMO reads them. Inspect fills them in each time; they
	// are not stored.
	Options []Option `json:"-"`
	// Network and Demand are nil when there is a fault in what the configuration leads to, or it was stored before they
	// were counted.
	Network *Network `json:"network,omitempty"`
	Demand  *Demand  `json:"demand,omitempty"`
}

// IsDigest reports whether s is a SHA-256 in the form in which scenarios are known by it.
func IsDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s
}

// Counted reports whether the network and demand of the configurations are known. Those of a scenario that was stored
// before they were counted are not.
func (m Manifest) Counted() bool {
	return !slices.ContainsFunc(m.Configs, func(c Config) bool { return c.Network == nil })
}

// Place is a scenario's position in the list of all.
type Place struct {
	CreatedAt time.Time
	Digest    string
}

// Limits bound what is accepted.
type Limits struct {
	Upload   int64 // bytes of the zip
	Unpacked int64 // bytes of all files together
	Entries  int   // files and folders in the zip
	// Ratio is the most that one entry may unpack to, as a multiple of its packed size. It applies beyond a size at
	// which a false alarm is no loss: small files of zeros compress further than any bomb.
	Ratio int64
	// SUMOVersion is the newest SUMO that may run scenarios here, such as "1.15": configurations with options that came
	// later are refused. Empty means the newest that we know.
	SUMOVersion string
}

// DefaultLimits allow a large city with a day's demand. A ratio of 200 is five times what XML of SUMO's own outputs
// reaches with deflate; deflate itself cannot exceed 1032.
func DefaultLimits() Limits {
	return Limits{Upload: 2 << 30, Unpacked: 16 << 30, Entries: 10_000, Ratio: 200, SUMOVersion: "1.15"}
}
