package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
)

// current is what images of this release print.
var current = strconv.Itoa(chunk.Generation)

// installing runs infra/deploy.sh with a kubectl that answers like a cluster on which SUMO-K8 is installed already, and fails
// when its arguments contain failing. A real cluster cannot be made to refuse just one thing.
func installing(t *testing.T, failing string) (output string, err error) {
	t.Helper()
	return installingWith(t, failing, current, current)
}

// installingWith is installing where images of SUMO 1.28 print this when they are asked for their generation: the one for plain
// runs, and the one for controllers and tools.
func installingWith(t *testing.T, failing, plain, python string) (output string, err error) {
	t.Helper()
	folder := t.TempDir()
	kubectl := `#!/bin/sh
case "$*" in
*"` + failing + `"*) echo "it is refused" >&2; exit 1 ;;
"kustomize "*)
	echo "  CONTROLLER_IMAGES: 1.28=r/sumo:1.28-python"
	echo "  SUMO_IMAGES: 1.18=r/sumo:1.18,1.28=r/sumo:1.28" ;;
*" get pod check-sumo-"*) printf Succeeded ;;
*" logs check-sumo-1-18") echo ` + current + ` ;;
*" logs check-sumo-1-28") echo "` + plain + `" ;;
*" logs check-sumo-1-28-python") echo "` + python + `" ;;
"create --dry-run=client "*) printf dev.local/functions:v1 ;;
*" get job migrate "*) printf "Complete " ;;
*" get secret sumo-k8 "*go-template=*) printf "ADMIN_KEY DATABASE_URL S3_ENDPOINT " ;;
*" get services.serving.knative.dev "*) printf "1|1|True|a-1|a-1|" ;;
apply*) echo "namespace/sumo-k8 unchanged" ;;
esac
`
	processtest.WriteProgram(t, filepath.Join(folder, "kubectl"), kubectl)
	run := exec.CommandContext(t.Context(), "../infra/deploy.sh", "deploy/overlays/production/")
	run.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "PATIENCE=60")
	out, err := run.CombinedOutput()
	return string(out), err
}

func TestAnInstallationThatIsRefusedFails(t *testing.T) {
	t.Parallel()
	output, err := installing(t, "nothing of this kind")
	if err != nil || !strings.Contains(output, "SUMO-K8 is installed") {
		t.Fatalf("with nothing to change: %v\n%s", err, output)
	}
	if !strings.Contains(output, "sumo-k8 gives ADMIN_KEY to every function") || strings.Contains(output, "gives DATABASE_URL") {
		t.Errorf("the keys that every function gets are not distinguished from those that it uses:\n%s", output)
	}
	for _, failing := range []string{
		"apply -f", "kustomize ", "get crd httproutes", "get secret sumo-k8", "get secret sumo-k8-admin",
		"get services.serving.knative.dev status", "create -f",
	} {
		if output, err := installing(t, failing); err == nil || strings.Contains(output, "is installed") {
			t.Errorf("when `kubectl %s…` fails, the script says:\n%s", failing, output)
		}
	}
}

// Templates of this release and images of another would fail every run.
func TestImagesOfAnotherReleaseAreRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ plain, python, refused string }{
		"a later one":                        {"99", current, "r/sumo:1.28"},
		"one without generations":            {"flag provided but not defined", current, "r/sumo:1.28"},
		"one of controllers and tools alone": {current, "99", "r/sumo:1.28-python"},
	} {
		output, err := installingWith(t, "nothing of this kind", test.plain, test.python)
		refusal := "SUMO 1.28, " + test.refused + ", is not of this release"
		if err == nil || !strings.Contains(output, refusal) || strings.Contains(output, "Migrating") {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}
