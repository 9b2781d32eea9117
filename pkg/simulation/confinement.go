package simulation

import (
	"cmp"
	"fmt"
	"strings"
)

// Confinement is what kept a run's SUMO inside the run's own folders. The zero value is nothing at all.
type Confinement struct {
	// Landlock is the version of the kernel's Landlock interface (its ABI) by which SUMO was held to its files; 0 where
	// that was not Landlock's doing.
	Landlock int `json:"landlock"`
	// Namespace is true when SUMO had a file system of its own (a mount namespace) that shows only the run's files.
	Namespace bool `json:"namespace"`
	// Filter is true when a filter of system calls (seccomp) was in force.
	Filter bool `json:"filter"`
	// User is true when SUMO ran as a user that no other process had. Only a service that runs as root can give it one.
	User bool `json:"user"`
}

// Files reports whether SUMO was held to the run's own files.
func (c Confinement) Files() bool { return c.Landlock > 0 || c.Namespace }

// Holds reports whether everything held without which a run is refused under CONFINEMENT=require.
func (c Confinement) Holds() bool { return c.Files() && c.Filter }

// Compare orders by strength: it is negative when c is weaker than other.
func (c Confinement) Compare(other Confinement) int {
	return cmp.Or(
		order(c.Files(), other.Files()),
		order(c.Filter, other.Filter),
		order(c.User, other.User),
		cmp.Compare(c.Landlock, other.Landlock),
		order(c.Namespace, other.Namespace),
	)
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// String lists what held, for a log: "Landlock (ABI 7), system call filter, own user".
func (c Confinement) String() string {
	var parts []string
	if c.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock (ABI %d)", c.Landlock))
	}
	if c.Namespace {
		parts = append(parts, "mount namespace")
	}
	if c.Filter {
		parts = append(parts, "system call filter")
	}
	if c.User {
		parts = append(parts, "own user")
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
