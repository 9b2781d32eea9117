package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Upload is a zip that a client puts into the object store directly, because it is large or the client slow. Its link keeps
// working until it expires, so the object may change at any time: completing the upload copies it to where the client cannot
// write, and accepts or refuses the copy.
type Upload struct {
	ID       string // UUID
	TenantID string
	Name     string // Scenario.Name to be
	Size     int64  // bytes, which the link's signature enforces
	Expected string // SHA-256 that the client announced; may be empty
	Digest   string // of the scenario made from it; empty until then
	Created  time.Time
}

const (
	// UploadLifetime is how long an upload may stay open before it must be completed: 2 GiB take five hours at 1 Mbit/s.
	UploadLifetime = 24 * time.Hour
	// maxOpenUploads of one tenant bounds what the store can hold unchecked.
	maxOpenUploads = 20
	// maxSinglePut is the most that S3 takes in one request.
	maxSinglePut = 5 << 30
)

// Begin opens an upload of u's name, size and expected digest. If the tenant has that scenario already, or idem stands for a
// completed upload, the result's Digest is set and nothing needs to be sent.
func (in *Intake) Begin(
	ctx context.Context, t tenant.Tenant, u Upload, idem *idempotency.Request,
) (stored Upload, created bool, err error) {
	if stored, found, err := idempotency.Repeated(ctx, in.Store, t.ID, idem, in.Store.Upload); found || err != nil {
		return stored, false, err
	}
	switch {
	case u.Size > in.Limits.Upload:
		return Upload{}, false, TooLarge(u.Size, in.Limits)
	case u.Size > maxSinglePut:
		return Upload{}, false, problem.New(problem.TooLarge, "The zip has %s; at most %s can be uploaded directly. Send it to /scenarios.",
			bytesText(u.Size), bytesText(maxSinglePut))
	}
	if u.Expected != "" {
		s, err := in.Store.Scenario(ctx, t.ID, u.Expected)
		if err == nil || problem.CodeOf(err) != problem.NotFound {
			return Upload{TenantID: t.ID, Digest: s.Digest}, false, err
		}
	}
	u.ID, u.TenantID = in.NewID(), t.ID
	return in.Store.BeginUpload(ctx, u, idem, maxOpenUploads)
}

// Complete makes a scenario from what was put into the store. It may be repeated. A refused zip is removed with its upload.
func (in *Intake) Complete(ctx context.Context, t tenant.Tenant, id string, program bool) (s Scenario, created bool, err error) {
	u, err := in.Store.Upload(ctx, t.ID, id)
	if err != nil || u.Digest != "" {
		return in.completed(ctx, u, err)
	}
	ctx, end, err := in.Share.Begin(ctx, t.ID)
	if err != nil {
		return Scenario{}, false, err
	}
	defer end()
	key := artifact.UploadKey(t.Namespace, u.ID)
	body, err := in.Objects.Open(ctx, key, 0, -1)
	if problem.CodeOf(err) == problem.NotFound {
		if u, err := in.Store.Upload(ctx, t.ID, id); err != nil || u.Digest != "" {
			return in.completed(ctx, u, err) // another call was faster
		}
		return Scenario{}, false, problem.Wrap(err, problem.Conflict, "The file of upload %s has not arrived. PUT it to the upload's "+
			"url first.", id)
	}
	if err != nil {
		return Scenario{}, false, err
	}
	defer body.Close()
	s, created, err = in.Accept(ctx, t, body, About{Name: u.Name, Check: u.check, Program: program})
	switch problem.CodeOf(err) {
	case "":
	case problem.Invalid, problem.TooLarge, problem.ScenarioInvalid:
		if gone := in.Abandon(ctx, t, id); gone != nil && problem.CodeOf(gone) != problem.NotFound {
			return Scenario{}, false, gone
		}
		return Scenario{}, false, err
	default:
		return Scenario{}, false, err
	}
	if err := in.Store.FinishUpload(ctx, t.ID, id, s.Digest); err != nil {
		return Scenario{}, false, fmt.Errorf("recording the scenario of upload %s: %w", id, err)
	}
	in.discard(ctx, key)
	return s, created, nil
}

// completed is the answer for an upload that is complete or does not exist.
func (in *Intake) completed(ctx context.Context, u Upload, err error) (Scenario, bool, error) {
	if err != nil {
		return Scenario{}, false, err
	}
	s, err := in.Store.Scenario(ctx, u.TenantID, u.Digest)
	return s, false, err
}

// Abandon forgets an upload and removes what was put into the store.
func (in *Intake) Abandon(ctx context.Context, t tenant.Tenant, id string) error {
	if err := in.Store.DeleteUpload(ctx, t.ID, id); err != nil {
		return err
	}
	in.discard(ctx, artifact.UploadKey(t.Namespace, id))
	return nil
}

func (u Upload) check(_ context.Context, digest string) error {
	if u.Expected != "" && u.Expected != digest {
		return problem.New(problem.Invalid, "The file that arrived is not the one announced: its SHA-256 is %s, not %s. Begin a "+
			"new upload.", digest, u.Expected)
	}
	return nil
}
