package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// opened matches what strace prints of a call that names a file: the path, and what came of it.
var opened = regexp.MustCompile(`(?:open|openat|creat|execve)\((?:AT_FDCWD, )?"([^"]*)".*\) = (-?\d+|\?)`)

// harmless are files outside that the C library and others look for at every start. Behind the wall they find none, and go on.
var harmless = []string{
	"/usr/share/locale/locale.alias", // other names of languages, for messages in English
	"/etc/localtime",                 // the times at the head of outputs are UTC's then
	"/proc/filesystems",              // libselinux asks whether there is SELinux
	// The wheels bring libraries that SUMO links and does not use here.
	"/etc/pki/tls/openssl.cnf", "/etc/pki/tls/legacy-settings", "/proc/sys/crypto/fips_enabled", // OpenSSL
	"/proc/sys/vm/overcommit_memory", // Arrow's allocator
}

// TestSUMOOpensNothingOutside records every file that SUMO opens in the ready networks, without a wall to keep it from any, and
// expects each to be one that the wall grants. So the wall's list is neither too short, nor longer for a reason that is gone.
func TestSUMOOpensNothingOutside(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed; make test installs it")
	}
	newest, oldest := sumotest.Newest(t), sumotest.Oldest(t)
	type row struct {
		sumo    release.Installation
		network string
	}
	rows := []row{{oldest, networks.Ready()[0]}}
	for _, network := range networks.Ready() {
		rows = append(rows, row{newest, network})
	}
	for _, row := range rows {
		t.Run(row.sumo.Version+" "+row.network, func(t *testing.T) {
			t.Parallel()
			network := row.network
			zip, err := networks.ReadyZip(network)
			if err != nil {
				t.Fatal(err)
			}
			r := newRunOf(t, row.sumo)
			dir := filepath.Dir(r.Work)
			r.Scenario = filepath.Join(dir, "scenario.zip")
			if err := os.WriteFile(r.Scenario, zip, 0o644); err != nil {
				t.Fatal(err)
			}
			r.Options = simulation.Options{
				ConfigFile: firstConfig(t, r.Scenario), End: shortly(network, 60), Outputs: simulation.Outputs(),
			}
			trace := filepath.Join(dir, "trace")
			sumo := r.Binary
			r.Binary = script(t, fmt.Sprintf("exec %s -f -qq -s 4096 -e trace=open,openat,creat,execve -o %s %s \"$@\"", strace, trace, sumo))
			r.Confinement = confine.Off // strace has a child process
			got := r.Do(t.Context())
			if got.Reason != "" {
				t.Fatalf("%s: %s", got.Reason, got.Message)
			}
			r.Binary = sumo
			cmd, err := r.program()
			if err != nil {
				t.Fatal(err)
			}
			wall := r.wall(cmd)
			grants := append(append(append([]string{os.DevNull}, wall.Read...), wall.Write...), harmless...)
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, m := range opened.FindAllStringSubmatch(string(text), -1) {
				n++
				path := m[1]
				if !filepath.IsAbs(path) {
					path = filepath.Join(cmd.Dir, path)
				}
				if !slices.ContainsFunc(grants, func(granted string) bool {
					return path == granted || strings.HasPrefix(path, strings.TrimSuffix(granted, "/")+"/")
				}) {
					t.Errorf("it opened %s (%s)", m[1], m[2])
				}
			}
			if n < 50 {
				t.Errorf("only %d files are on record:\n%s", n, text)
			}
		})
	}
}
