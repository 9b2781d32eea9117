package confine

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// abilities are what this process and its kernel can do to confine a program.
type abilities struct {
	landlock  int  // the kernel's ABI version; 0 for none
	root      bool // whether we are root
	mount     bool // whether we may make mount namespaces as we are
	trace     bool // whether we may read other users' processes, as the warden of a tree does
	otherUser bool // whether we may start programs as another user, signal them, give files to them and take theirs
}

// host returns the abilities of this process and its kernel; user is the one that programs get.
func host(user int) abilities {
	var a abilities
	if version, err := llsys.LandlockGetABIVersion(); err == nil {
		a.landlock = version
	}
	a.root = os.Geteuid() == 0
	if !a.root {
		return a
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return a
	}
	has := func(capability int) bool { return data[capability/32].Effective&(1<<(capability%32)) != 0 }
	a.mount, a.trace = has(unix.CAP_SYS_ADMIN), has(unix.CAP_SYS_PTRACE)
	a.otherUser = has(unix.CAP_SETUID) && has(unix.CAP_SETGID) && has(unix.CAP_CHOWN) && has(unix.CAP_KILL) && has(unix.CAP_DAC_OVERRIDE) &&
		mapped(user)
	return a
}

// firstOwnUser begins the range that systemd's list of user ids leaves free for good, 0x70000000 to 0x7ffffffe
// (https://systemd.io/UIDS-GIDS). Process ids take 22 bits at most, and Slots the 5 bits above.
const (
	firstOwnUser = 0x70000000
	processBits  = 22
)

// ownUser is the user and group for a program that this process starts: no other living process derives the same id.
func (w Wall) ownUser() int { return firstOwnUser + w.Slot<<processBits + os.Getpid() }

// allThreads is how many threads the machine has, or 0 when unknown.
func allThreads() int {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var load [3]float64
	var running, all int
	if _, err := fmt.Sscanf(string(text), "%f %f %f %d/%d", &load[0], &load[1], &load[2], &running, &all); err != nil {
		return 0
	}
	return all
}

// mapped reports whether a user id exists in our user namespace, which a container's may lack.
func mapped(id int) bool {
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, length int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &length); err == nil && id >= inside && id-inside < length {
			return true
		}
	}
	return false
}

// abilities are the host's, limited to what w may use.
func (w Wall) abilities() abilities {
	a := host(w.ownUser())
	switch {
	case w.LandlockABI == NoLandlock:
		a.landlock = 0
	case w.LandlockABI > 0:
		a.landlock = min(a.landlock, w.LandlockABI)
	}
	return a
}

// plans lists the walls to try, the strongest first; there is always one. Under Require each of them satisfies Holds.
func (w Wall) plans(mode Mode, program string, a abilities) []simulation.Confinement {
	if mode == Off {
		return []simulation.Confinement{{}}
	}
	var plans []simulation.Confinement
	if a.otherUser && (w.Profile != Program || a.trace) {
		// Another user cannot pass through the private folders above the run's own, unless a file system without them
		// takes their place.
		namespace := a.landlock == 0 || !reachable(append(append([]string{program}, w.Read...), w.Write...))
		if !namespace || a.mount {
			plans = append(plans, simulation.Confinement{Landlock: a.landlock, Namespace: namespace, Filter: true, User: true})
		}
	}
	plans = append(plans, simulation.Confinement{Landlock: a.landlock, Namespace: a.landlock == 0, Filter: true})
	if mode == Prefer {
		if a.landlock > 0 {
			plans = append(plans, simulation.Confinement{Landlock: a.landlock})
		}
		plans = append(plans, simulation.Confinement{Filter: true}, simulation.Confinement{})
	}
	return plans
}

// reachable reports whether any user may pass through all folders above these paths.
func reachable(paths []string) bool {
	const pass = 0o001
	seen := map[string]bool{}
	for _, path := range paths {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		for dir := filepath.Dir(path); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&pass == 0 {
				return false
			}
		}
	}
	return true
}

// give makes a user the owner of w's folders to write in and of all folders below them. Files keep their owner, because SUMO creates the
// files that it writes; but profile Program may also change what is there. A file with a second name elsewhere is not its own.
func (w Wall) give(user int) error {
	for _, folder := range w.Write {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() {
				if w.Profile != Program || !d.Type().IsRegular() {
					return nil
				}
				info, err := d.Info()
				if err != nil || info.Sys().(*syscall.Stat_t).Nlink > 1 {
					return err
				}
			}
			return os.Lchown(path, user, user)
		})
		if err != nil {
			return fmt.Errorf("giving the run's folders to its user: %w", err)
		}
	}
	return nil
}
