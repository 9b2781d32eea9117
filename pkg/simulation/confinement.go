package simulation

import (
	"cmp"
	"fmt"
	"strings"
)

// Confinement is what kept a run's SUMO inside the run's own folders. The zero value means that nothing did.
type Confinement struct {
	// Landlock is the ABI version of the kernel's Landlock that restricted SUMO to its files; 0 where Landlock was not used.
	Landlock int `json:"landlock"`
	// Namespace is true when SUMO had a file system of its own (a mount namespace) that shows only the run's files.
	Namespace bool `json:"namespace"`
	// Filter is true when a filter of system calls (seccomp) was in force.
	Filter bool `json:"filter"`
	// User is true when SUMO ran as a user that no other process had. Only a service that runs as root can give it one.
	User bool `json:"user"`
}

// Files reports whether SUMO was restricted to the run's own files.
func (c Confinement) Files() bool { return c.Landlock > 0 || c.Namespace }

// Holds reports whether c is enough for CONFINEMENT=require.
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

// String lists the parts that held, for logs: "Landlock (ABI 7), system call filter, own user".
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
