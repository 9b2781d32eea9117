package argo

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v3/util/expr/argoexpr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// written is the template for these settings, read with Argo's own types; fields that those do not have are refused.
func written(t *testing.T, s Template) wfv1.WorkflowTemplate {
	t.Helper()
	text, err := s.Manifest("sumo-acme")
	if err != nil {
		t.Fatal(err)
	}
	var out wfv1.WorkflowTemplate
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		t.Fatalf("Argo cannot read it: %v\n%s", err, text)
	}
	return out
}

func settings() Template {
	return Template{Version: "1.18", Image: "registry.example/sumo:1.18", Store: kube.ObjectStore{
		Endpoint: "https://s3.example", Region: "eu-central-1", Bucket: "runs", AccessKey: "public", SecretKey: "secret",
	}}
}

var update = flag.Bool("update", false, "write testdata/sumo-1-18.yaml again")

func TestTheManifest(t *testing.T) {
	t.Parallel()
	got, err := settings().Manifest("sumo-acme")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/sumo-1-18.yaml", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/sumo-1-18.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got (write it again with -update):\n%s", diff)
	}
}

func TestThePodIsConfined(t *testing.T) {
	t.Parallel()
	wt := written(t, settings())
	run := wt.Spec.Templates[0]
	yes, no := true, false
	user := int64(65532)
	type confinement struct {
		Token               *bool
		Account, Executor   string
		NonRoot             *bool
		User                *int64
		Seccomp             corev1.SeccompProfileType
		ReadOnly, Privilege *bool
		Dropped             []corev1.Capability
	}
	want := confinement{
		Token: &no, Account: "sumo", Executor: "executor", NonRoot: &yes, User: &user, Seccomp: corev1.SeccompProfileTypeRuntimeDefault,
		ReadOnly: &yes, Privilege: &no, Dropped: []corev1.Capability{"ALL"},
	}
	got := confinement{
		Token: wt.Spec.AutomountServiceAccountToken, Account: wt.Spec.ServiceAccountName, Executor: wt.Spec.Executor.ServiceAccountName,
		NonRoot: wt.Spec.SecurityContext.RunAsNonRoot, User: wt.Spec.SecurityContext.RunAsUser,
		Seccomp:   wt.Spec.SecurityContext.SeccompProfile.Type,
		ReadOnly:  run.Container.SecurityContext.ReadOnlyRootFilesystem,
		Privilege: run.Container.SecurityContext.AllowPrivilegeEscalation, Dropped: run.Container.SecurityContext.Capabilities.Drop,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	image := []corev1.EnvVar{{Name: "SUMO_IMAGE", Value: run.Container.Image}}
	if diff := cmp.Diff(image, run.Container.Env); diff != "" || len(run.Container.EnvFrom) > 0 {
		t.Errorf("SUMO's container has other variables than its image, and credentials come that way (-want +got):\n%s", diff)
	}
	var patch corev1.PodSpec
	if err := yaml.UnmarshalStrict([]byte(placeholder.ReplaceAllString(run.PodSpecPatch, "3")), &patch); err != nil {
		t.Fatal(err)
	}
	for _, v := range run.Volumes {
		sized := func(o corev1.Volume) bool {
			return o.Name == v.Name && o.EmptyDir != nil && o.EmptyDir.SizeLimit != nil
		}
		if !sized(v) && !slices.ContainsFunc(patch.Volumes, sized) {
			t.Errorf("volume %s has no limit", v.Name)
		}
	}
}

// The keeper has credentials, and SUMO must not reach it even if the wall around SUMO falls.
func TestTheKeeperIsApartFromSUMO(t *testing.T) {
	t.Parallel()
	run := written(t, settings()).Spec.Templates[0]
	if len(run.Sidecars) != 1 {
		t.Fatalf("there are %d sidecars", len(run.Sidecars))
	}
	keeper := run.Sidecars[0]
	user := func(c *corev1.SecurityContext) int64 {
		if c.RunAsUser == nil {
			return 65532 // the pod's
		}
		return *c.RunAsUser
	}
	if user(keeper.SecurityContext) == user(run.Container.SecurityContext) {
		t.Error("both are the same user")
	}
	if s := keeper.SecurityContext; !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 {
		t.Errorf("it is confined less than SUMO: %+v", s)
	}
	writes := func(c corev1.Container) (names []string) {
		for _, m := range c.VolumeMounts {
			if !m.ReadOnly {
				names = append(names, m.Name)
			}
		}
		return names
	}
	if diff := cmp.Diff([]string{"job", "tmp"}, writes(*run.Container)); diff != "" {
		t.Errorf("SUMO's container writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"desk"}, writes(keeper.Container)); diff != "" {
		t.Errorf("the keeper writes (-want +got):\n%s", diff)
	}
	for _, e := range keeper.Env {
		if strings.Contains(e.Name, "KEY") && (e.Value != "" || e.ValueFrom.SecretKeyRef.Name != "object-store") {
			t.Errorf("%s stands in the template", e.Name)
		}
	}
	without := settings()
	without.Store.AccessKey = ""
	for _, e := range written(t, without).Spec.Templates[0].Sidecars[0].Env {
		if strings.Contains(e.Name, "KEY") {
			t.Errorf("%s names a Secret that does not exist", e.Name)
		}
	}
}

var placeholder = regexp.MustCompile(`{{[^}]*}}`)

func TestEveryContainerHasResourcesAndRequestsAreLimits(t *testing.T) {
	t.Parallel()
	patch := written(t, settings()).Spec.Templates[0].PodSpecPatch
	var pod corev1.PodSpec
	if err := yaml.UnmarshalStrict([]byte(placeholder.ReplaceAllString(patch, "3")), &pod); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		if diff := cmp.Diff(c.Resources.Limits, c.Resources.Requests); diff != "" {
			t.Errorf("%s: requests differ from limits:\n%s", c.Name, diff)
		}
		got[c.Name] = c.Resources.Limits.Cpu().String() + " " + c.Resources.Limits.Memory().String()
	}
	agent := kube.AgentCPU() + " " + kube.AgentMemory()
	if diff := cmp.Diff(map[string]string{"init": agent, "main": "3 3", "keeper": agent, "wait": agent}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; got != grace {
		t.Errorf("grace is %s, want %s", got, grace)
	}
}

func TestTheOperatorsChoicesReachTheTemplate(t *testing.T) {
	t.Parallel()
	s := settings()
	s.NodeSelector = map[string]string{"pool": "sumo: \"spot\""}
	s.Tolerations = []corev1.Toleration{{Key: "spot", Operator: "Exists", Effect: "NoSchedule"}}
	s.PodSpecPatch = "affinity: {}\n"
	s.PullPolicy, s.Unpacked, s.Output, s.ProgressEvery = "Never", 1<<30, 4<<30, 3*time.Second
	s.Confinement = confine.Require
	wt := written(t, s)
	run := wt.Spec.Templates[0]
	if diff := cmp.Diff(s.NodeSelector, wt.Spec.NodeSelector); diff != "" {
		t.Errorf("node selector (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.Toleration{{Key: "spot", Operator: "Exists", Effect: "NoSchedule"}}, wt.Spec.Tolerations); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
	got := []string{
		wt.Name, wt.Namespace, wt.Spec.PodSpecPatch, run.Container.Image, string(run.Container.ImagePullPolicy),
		run.Sidecars[0].Image, string(run.Sidecars[0].ImagePullPolicy),
	}
	want := []string{"sumo-1-18-g2", "sumo-acme", s.PodSpecPatch, s.Image, "Never", s.Image, "Never"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, want := range []string{"--output=4294967296", "--confinement=require"} {
		if !slices.Contains(run.Container.Args, want) {
			t.Errorf("sumo-run is not started with %s but with %q", want, run.Container.Args)
		}
	}
	// A run writes 4 GiB and a quarter; the scenario takes 1 GiB, and 2 are left.
	if want := "asInt(inputs.parameters.parallel) * 5120 + 8192}}Mi"; !strings.Contains(run.PodSpecPatch, want) {
		t.Errorf("the disk is not %s:\n%s", want, run.PodSpecPatch)
	}
	if n := strings.Count(run.PodSpecPatch, "value: 3s"); n != 2 {
		t.Errorf("the interval of progress reports stands %d times in the patch, want 2:\n%s", n, run.PodSpecPatch)
	}
}

func TestOnlyInfrastructureFailuresAreRetried(t *testing.T) {
	t.Parallel()
	strategy := written(t, settings()).Spec.Templates[0].RetryStrategy
	if limit := strategy.Limit.IntValue(); limit != maxAttempts-1 {
		t.Errorf("%d retries, want one less than %d attempts", limit, maxAttempts)
	}
	code := strconv.Itoa
	for _, tt := range []struct {
		status, exitCode, message string
		retried                   bool
	}{
		{"Error", "-1", "pod deleted", true},
		{"Failed", "-1", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi.", true},
		{"Failed", code(simulation.ExitInterrupted), "main: Error (exit code 31): Interrupted: The run was stopped by the machine.", true},
		{"Failed", "143", "main: Error (exit code 143)", true},
		{"Error", "0", "wait: Error (exit code 64): failed to put file", true},
		{"Error", "0", "wait: Error (exit code 64): failed to put file: Storage backend has reached its minimum free drive threshold. " +
			"Please delete a few objects to proceed.", false},
		{"Error", "0", "wait: Error (exit code 64): failed to put file: Your request was denied due to quota exceeded.", false},
		{"Failed", "0", "Pod was terminated in response to imminent node shutdown.", true},
		{"Failed", code(simulation.ExitInvalidScenario), "main: Error (exit code 10): InvalidScenario: no network", false},
		{"Failed", code(simulation.ExitSimulationError), "main: Error (exit code 20)", false},
		{"Failed", code(simulation.ExitTooManyTeleports), "main: Error (exit code 21)", false},
		{"Failed", code(simulation.ExitOutOfMemory), "main: Error (exit code 22)", false},
		{"Failed", code(simulation.ExitDiskFull), "main: Error (exit code 23)", false},
		{"Failed", code(simulation.ExitOutputTooLarge), "main: Error (exit code 24)", false},
		{"Failed", code(simulation.ExitDeadlineExceeded), "main: Error (exit code 30)", false},
		{"Failed", code(simulation.ExitInternalError), "main: Error (exit code 70)", false},
		{"Failed", "137", "main: OOMKilled (exit code 137)", false},
		{"Error", "-1", "init: Error (exit code 64): artifact scenario failed to load: The specified key does not exist.", false},
		{"Failed", "-1", "Pod was active on the node longer than the specified deadline", false},
		{"Failed", "-1", `Usage of EmptyDir volume "out" exceeds the limit "20Gi".`, false},
	} {
		t.Run(fmt.Sprint(tt.exitCode, " ", tt.message), func(t *testing.T) {
			t.Parallel()
			retried, err := argoexpr.EvalBool(strategy.Expression, map[string]any{
				"lastRetry": map[string]any{"status": tt.status, "exitCode": tt.exitCode, "message": tt.message, "duration": "1"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if retried != tt.retried {
				t.Errorf("retried: %t, want %t", retried, tt.retried)
			}
		})
	}
}

func TestProgramsHaveATemplateOfTheirOwn(t *testing.T) {
	t.Parallel()
	plain, programs := settings(), settings()
	programs.Programs, programs.Image = true, "registry.example/sumo:1.18-python"
	programs.NodeSelector = map[string]string{"sumo-k8.io/controllers": "true"}
	run := func(o simulation.Options) string {
		o.SumoVersion = "1.18"
		return Config{}.workflowOf(job.Single(job.Job{ID: "j", Options: o})).Spec.WorkflowTemplateRef.Name
	}
	for name, test := range map[string]struct {
		template Template
		options  simulation.Options
	}{
		"a plain run":  {plain, simulation.Options{}},
		"a controller": {programs, simulation.Options{Controller: &simulation.Controller{File: "a.py"}}},
		"a tool":       {programs, simulation.Options{Tool: &simulation.Tool{Name: "netconvert"}}},
	} {
		if wt := written(t, test.template); wt.Name != run(test.options) {
			t.Errorf("%s is started from %s, not from %s", name, run(test.options), wt.Name)
		}
	}
	// Nothing but the name, the image and the nodes differs: what is around a program is at least what is around SUMO.
	got := written(t, programs)
	want := written(t, plain)
	want.Name, want.Spec.NodeSelector = got.Name, got.Spec.NodeSelector
	want.Spec.Templates[0].Container.Image, want.Spec.Templates[0].Container.Env[0].Value = programs.Image, programs.Image
	for i := range want.Spec.Templates[0].Sidecars {
		want.Spec.Templates[0].Sidecars[i].Image = programs.Image
	}
	if diff := cmp.Diff(want, got); diff != "" || plain.Programs {
		t.Errorf("beside these (-plain +programs):\n%s", diff)
	}
}
