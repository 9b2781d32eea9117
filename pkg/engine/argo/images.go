package argo

import (
	"context"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
)

// mainContainer is Argo's name for the container in which a template's runs are.
const mainContainer = "main"

// pin adds to the images of runs that have ended the digests that the cluster reports. Runs name their image by the operator's reference,
// whose tag may have been moved since; what ran is known to the node only. A digest is looked up once for each chunk, while its pod is
// there. Without one, or when the lookup fails, the reference stays as it is: a run's end does not wait for it.
func (e *Engine) pin(ctx context.Context, all []run, sights []job.Sight) {
	var work errgroup.Group
	work.SetLimit(parallelism)
	for i, r := range all {
		var named []*job.Observation
		for k := range sights[i].Runs {
			if o := &sights[i].Runs[k]; o.State.Terminal() && o.Image != "" && !strings.Contains(o.Image, "@") {
				named = append(named, o)
			}
		}
		if len(named) == 0 {
			continue
		}
		work.Go(func() error {
			if r.digest == nil {
				digest, err := e.digest(ctx, r.workflow)
				if err != nil {
					e.log.Warn().Err(err).Str("chunk", chunkOf(r.workflow)).Msg("the digest of an image is not known")
					return nil
				}
				r.digest = &digest
				e.runs.keepDigest(r.workflow, digest)
			}
			if *r.digest != "" {
				for _, o := range named {
					o.Image += "@" + *r.digest
				}
			}
			return nil
		})
	}
	_ = work.Wait()
}

// digest is that of the image of a workflow's pods; empty if they are gone, differ, or have an image that came from no registry, which has
// none.
func (e *Engine) digest(ctx context.Context, w *wfv1.Workflow) (digest string, err error) {
	digests := map[string]bool{}
	err = kube.EachPodOf(ctx, e.cluster, w.Namespace, chunkOf(w), func(p *corev1.Pod) {
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == mainContainer && c.ImageID != "" {
				_, digest, _ = strings.Cut(c.ImageID, "@")
				digests[digest] = true
			}
		}
	})
	if len(digests) != 1 {
		digest = ""
	}
	return digest, err
}
