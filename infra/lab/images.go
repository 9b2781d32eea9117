package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/host"
)

// pauseImage is the image that the container runtime starts first in every pod.
const pauseImage = "dev.local/pause:1"

// nobody is the user in images whose programs need no rights.
const nobody = "65532"

// pathInImage makes an image's only program callable by its name, as Argo and its manifests do.
const pathInImage = "PATH=/bin"

// images are the lab's own, each with one program.
var images = []struct{ program, name string }{
	{"pause", pauseImage},
	{"coredns", "dev.local/coredns:" + coreDNSVersion},
	{"workflow-controller", "dev.local/workflow-controller:" + argoVersion},
	{"argoexec", "dev.local/argoexec:" + argoVersion},
	{"knative-activator", "dev.local/knative-activator:" + knativeVersion},
	{"knative-autoscaler", "dev.local/knative-autoscaler:" + knativeVersion},
	{"knative-controller", "dev.local/knative-controller:" + knativeVersion},
	{"knative-queue", "dev.local/knative-queue:" + knativeVersion},
	{"knative-webhook", "dev.local/knative-webhook:" + knativeVersion},
	{"traefik", "dev.local/traefik:" + traefikVersion},
	{"eventing-controller", "dev.local/eventing-controller:" + eventingVersion},
	{"eventing-mtping", "dev.local/eventing-mtping:" + eventingVersion},
	{"eventing-webhook", "dev.local/eventing-webhook:" + eventingVersion},
}

// writeImages writes the archives of all images next to their programs, unless they exist.
func writeImages(p programs) (archives []string, written int, err error) {
	for _, i := range images {
		if p[i.program] == "" {
			continue // Eventing's, which not every lab has
		}
		made := oci.Image{
			Name: i.name, Architecture: runtime.GOARCH, User: nobody, Entrypoint: []string{i.program}, Env: []string{pathInImage},
			Layers: []oci.Layer{oci.Files(
				oci.File{Path: "/bin/" + i.program, Mode: 0o755, Source: p[i.program]},
				oci.File{Path: "/tmp", Mode: os.ModeDir | os.ModeSticky | 0o777},
			)},
		}
		// The program's folder is named by the digest of all its inputs, so a file of this name holds the same image.
		sum := sha256.Sum256(fmt.Appendf(nil, "%+v", made))
		archive := fmt.Sprintf("%s-%x.tar", p[i.program], sum[:4])
		archives = append(archives, archive)
		if _, err := os.Stat(digestFile(archive)); err == nil {
			continue
		}
		digest, err := made.WriteFile(archive)
		if err == nil {
			err = os.WriteFile(digestFile(archive), []byte(i.name+" "+digest), 0o644)
		}
		if err != nil {
			return nil, written, fmt.Errorf("image %s: %w", i.name, err)
		}
		written++
	}
	return archives, written, nil
}

// digestFile is written after an archive and has its image's name and digest.
func digestFile(archive string) string { return archive + ".digest" }

// loadImages loads the images that the container runtime does not have yet.
func loadImages(ctx context.Context, l layout, archives []string) (loaded int, err error) {
	has, err := digests(ctx, l)
	if err != nil {
		return 0, err
	}
	for _, archive := range archives {
		text, err := os.ReadFile(digestFile(archive))
		if err != nil {
			return loaded, err
		}
		name, digest, _ := strings.Cut(string(text), " ")
		if has[name] == digest {
			continue
		}
		if err := load(ctx, l, archive); err != nil {
			return loaded, err
		}
		loaded++
	}
	return loaded, nil
}

// digests is what the container runtime has: the digests of images by their names.
func digests(ctx context.Context, l layout) (map[string]string, error) {
	there, err := ctr(ctx, l, "images", "list")
	has := map[string]string{}
	for line := range strings.Lines(there) {
		// The columns are name, type, digest and more.
		if fields := strings.Fields(line); len(fields) > 2 {
			has[fields[0]] = fields[2]
		}
	}
	return has, err
}

// nameByDigest also names images by their digests, as if they had been pulled from a registry: the cluster then reports the digest of
// what a pod runs.
func nameByDigest(ctx context.Context, l layout) error {
	has, err := digests(ctx, l)
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for name, digest := range has {
		// The runtime's own names of images are sha256:DIGEST.
		if colon := strings.LastIndex(name, ":"); colon > 0 && !strings.Contains(name, "@") && !strings.HasPrefix(name, "sha256:") {
			wanted[name[:colon]+"@"+digest] = name
		}
	}
	for name := range has {
		if strings.Contains(name, "@") && wanted[name] == "" { // of an image that another one has taken the place of
			if _, err := ctr(ctx, l, "images", "remove", name); err != nil {
				return err
			}
		}
	}
	for byDigest, name := range wanted {
		if has[byDigest] == "" {
			if _, err := ctr(ctx, l, "images", "tag", name, byDigest); err != nil {
				return err
			}
		}
	}
	return nil
}

// load loads one archive into the container runtime.
func load(ctx context.Context, l layout, archive string) error {
	archive, err := filepath.Abs(archive)
	if err == nil {
		_, err = os.Stat(archive)
	}
	if err == nil {
		_, err = ctr(ctx, l, "images", "import", archive)
	}
	return err
}

func ctr(ctx context.Context, l layout, args ...string) (string, error) {
	if l.daemons().Pid(containerdDaemon) == 0 {
		return "", errors.New("the lab is not up: start it with make lab-up")
	}
	return host.Run(ctx, "", append([]string{"ctr", "--address", l.containerd("containerd.sock"), "--namespace", "k8s.io"}, args...)...)
}
