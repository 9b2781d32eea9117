// Package infra has the scripts of make and CI. Its tests hold those that judge something to what they say.
package infra

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
)

func TestVulnerabilitiesFailAndAMissingDatabaseIsReported(t *testing.T) {
	t.Parallel()
	const unreachable = `echo 'govulncheck: fetching vulnerabilities: no such host' >&2; exit 1`
	for name, test := range map[string]struct {
		govulncheck string // the shell commands that replace it
		database    string // GOVULNDB
		fails       bool
		says        string
	}{
		"nothing is known":                    {`echo "checked $2"`, "", false, "checked infra/local/objectstore"},
		"a vulnerability":                     {`echo "found in $2"; exit 3`, "", true, "found in ."},
		"a vulnerability of the object store": {`[ "$2" = . ] || { echo "found in $2"; exit 3; }`, "", true, "found in infra/local/objectstore"},
		"no database":                         {unreachable, "", false, "NOT CHECKED"},
		"not the database that was named":     {unreachable, "https://example.org", true, "fetching"},
		"the database that was named":         {`echo "asked $3 $4"`, "file:///db", false, "asked -db file:///db"},
		"code that cannot be read":            {`echo 'govulncheck: loading packages' >&2; exit 1`, "", true, "loading packages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			tool := "#!/bin/sh\n[ \"$1 $3\" = 'tool govulncheck' ] || exit 9\nshift 3\n" + test.govulncheck + "\n"
			processtest.WriteProgram(t, filepath.Join(folder, "go"), tool)
			run := exec.CommandContext(t.Context(), "./vuln.sh")
			run.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "GOVULNDB="+test.database)
			out, err := run.CombinedOutput()
			said := string(out)
			if (err != nil) != test.fails || !strings.Contains(said, test.says) {
				t.Errorf("%v\n%s", err, said)
			}
			if test.says != "NOT CHECKED" && strings.Contains(said, "NOT CHECKED") {
				t.Errorf("it reports that nothing was checked:\n%s", said)
			}
		})
	}
}
