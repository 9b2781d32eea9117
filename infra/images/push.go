package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
)

// pusher copies built images to a registry.
type pusher struct {
	out      string // folder of the archives
	registry string // with the path that comes before the images' names, if any
	tag      string // of this release; empty for the tags that the images were built with
	recipes  []recipe
	keys     authn.Keychain
	log      io.Writer // gets the name of each pushed image, with its digest
	bars     io.Writer // gets progress bars; nil for none
}

func (p pusher) push(ctx context.Context) error {
	for _, r := range p.recipes {
		if err := p.pushImage(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (p pusher) pushImage(ctx context.Context, r recipe) error {
	rest := r.tagged(p.tag)
	tag, err := name.NewTag(strings.TrimSuffix(p.registry, "/")+"/"+rest, name.StrictValidation)
	if err != nil || strings.Contains(p.registry, "://") {
		return fmt.Errorf("%q does not name a registry, as registry.example.org or registry.example.org/traffic would", p.registry)
	}
	dir, err := os.MkdirTemp("", "push-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	archive := filepath.Join(p.out, r.file())
	built, image, err := oci.Open(archive, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: run make images first", archive)
	case err != nil:
		return err
	case built != r.name:
		return fmt.Errorf("%s holds %s in place of %s: run make images again", archive, built, r.name)
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	if err := p.write(ctx, tag, image); err != nil {
		return pushError(tag, err)
	}
	fmt.Fprintf(p.log, "%s@%s\n", tag, digest)
	return nil
}

// write copies what the registry does not have of an image, and shows how far it has come.
func (p pusher) write(ctx context.Context, tag name.Tag, image v1.Image) error {
	updates := make(chan v1.Update)
	done := make(chan error, 1)
	go func() {
		// It closes updates.
		done <- remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(p.keys), remote.WithProgress(updates))
	}()
	progress := mpb.New(mpb.WithOutput(p.bars), mpb.WithWidth(80))
	bar := progress.AddBar(0, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(tag.String()+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
	for u := range updates {
		if u.Error == nil {
			bar.SetTotal(u.Total, false)
			bar.SetCurrent(u.Complete)
		}
	}
	err := <-done
	bar.Abort(true)
	progress.Wait()
	return err
}

// pushError says what to do about a push that failed.
func pushError(tag name.Tag, err error) error {
	var answer *transport.Error
	var unreachable *net.OpError
	switch {
	case errors.As(err, &unreachable):
		return fmt.Errorf("the registry %s does not answer: %w", tag.RegistryStr(), err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return fmt.Errorf("the registry %s denies writing %s: log in to it, as with docker login or podman login, as a user who may: %w",
			tag.RegistryStr(), tag.RepositoryStr(), err)
	}
	return fmt.Errorf("pushing %s: %w", tag, err)
}
