package scenario

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Intake stores, checks and records uploads, each content once per tenant. All fields but Share must be set.
type Intake struct {
	Store   Store
	Objects Objects
	Limits  Limits
	// Share bounds what one tenant has checked at once; nil where the service itself is the only caller.
	Share *fairness.Bound
	NewID func() string // names the object of one upload; never the same twice
	Now   func() time.Time
}

// Store keeps scenarios and uploads by tenant. Where there is none with an id, that is problem.NotFound.
type Store interface {
	// PutScenario stores s unless the tenant already has one with its digest; either way it returns the stored one.
	PutScenario(ctx context.Context, s Scenario) (stored Scenario, created bool, err error)
	Scenario(ctx context.Context, tenantID, digest string) (Scenario, error)
	// ScenarioOverBase returns one that was derived from the zip of the scenario called base, which may be deleted.
	ScenarioOverBase(ctx context.Context, tenantID, base string) (Scenario, error)
	// UpdateManifest replaces what was found in a scenario's zip.
	UpdateManifest(ctx context.Context, tenantID, digest string, m Manifest) (Scenario, error)
	// PutDerived stores s, which shares its zip with the scenario called from, as PutScenario does. When that one is gone it is
	// problem.NotFound.
	PutDerived(ctx context.Context, s Scenario, from string) (stored Scenario, created bool, err error)
	// DeleteScenario forgets one and returns it, with the keys of its objects that no other scenario needs. While an unfinished job or
	// study needs it, that is problem.Conflict.
	DeleteScenario(ctx context.Context, tenantID, digest string) (s Scenario, unneeded []string, err error)
	// Remember records idem, or answers problem.KeyReused when its key came with another request before.
	Remember(ctx context.Context, tenantID string, idem idempotency.Request) error

	idempotency.Ledger
	// BeginUpload records u unless idem is not nil and known: then it returns the upload that idem stands for. More than
	// maxOpen uploads that have not become scenarios are problem.Conflict.
	BeginUpload(ctx context.Context, u Upload, idem *idempotency.Request, maxOpen int) (stored Upload, created bool, err error)
	Upload(ctx context.Context, tenantID, id string) (Upload, error)
	// FinishUpload records which scenario an upload has become.
	FinishUpload(ctx context.Context, tenantID, id, digest string) error
	DeleteUpload(ctx context.Context, tenantID, id string) error
}

// Objects is the object store, as far as uploads use it.
type Objects interface {
	Opener
	Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error)
	Delete(ctx context.Context, keys ...string) error
}

// Opener reads length bytes of an object from offset; a negative length reads to its end. The caller closes the reader, which fails with
// problem.Unavailable when the store does.
type Opener interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// cleanupTime bounds the removal of an unwanted object, which continues after the client has gone.
const cleanupTime = 30 * time.Second

// About is what is known about an upload besides its bytes.
type About struct {
	Name string // Scenario.Name of a new scenario
	// Check may refuse the upload by its SHA-256, before anything looks into it. It may be nil.
	Check func(ctx context.Context, digest string) error
	// Config is the configuration that will run, if it has been chosen: it is judged whatever its name.
	Config string
	// Program says that a program of the scenario, or a tool of SUMO's, runs it: see Limits.Program.
	Program bool
}

// Accept streams a zip from src into the object store, and returns its scenario: the one that the tenant already has with the
// same bytes, or a new one, with created true. It answers problem.TooLarge and problem.ScenarioInvalid for uploads that it
// refuses, leaving nothing behind, and problem.Invalid for one that breaks off. Memory is bounded whatever the size.
func (in *Intake) Accept(ctx context.Context, t tenant.Tenant, src io.Reader, about About) (s Scenario, created bool, err error) {
	s, err = in.receive(ctx, t, src)
	if err != nil {
		return Scenario{}, false, err
	}
	if about.Check != nil {
		if err := about.Check(ctx, s.Digest); err != nil {
			in.discard(ctx, s.Key)
			return Scenario{}, false, err
		}
	}
	if known, found, err := in.known(ctx, t, s.Digest, about); found || err != nil {
		in.discard(ctx, s.Key)
		return known, false, err
	}
	if s.Manifest, err = in.inspect(ctx, s, about.Config, about.Program); err != nil {
		in.discard(ctx, s.Key)
		return Scenario{}, false, err
	}
	s.Name, s.CreatedAt = about.Name, in.Now()
	stored, created, err := in.Store.PutScenario(ctx, s)
	if err != nil {
		// The row may exist although the answer was lost, so the object stays: pruning removes it if no row names it.
		return Scenario{}, false, fmt.Errorf("recording the scenario: %w", err)
	}
	if !created {
		in.discard(ctx, s.Key)
	}
	return stored, created, nil
}

// known returns the tenant's scenario with this digest, if there is one. It is checked anew when an older release checked it, or when it
// was taken in for programs and SUMO is to run it alone.
func (in *Intake) known(ctx context.Context, t tenant.Tenant, digest string, about About) (s Scenario, found bool, err error) {
	s, err = in.Store.Scenario(ctx, t.ID, digest)
	switch {
	case problem.CodeOf(err) == problem.NotFound:
		return Scenario{}, false, nil
	case err != nil:
		return Scenario{}, false, err
	case s.Manifest.Current() && (about.Program || s.Manifest.runsAlone()):
		return s, true, nil
	}
	m, err := in.inspect(ctx, s, about.Config, about.Program)
	if err != nil {
		return Scenario{}, true, err
	}
	s, err = in.Store.UpdateManifest(ctx, t.ID, digest, m)
	return s, true, err
}

// Validate checks a zip as Accept does, but keeps nothing. What is wrong with it, or keeps a job from running it as it is, is the error,
// problem.ScenarioInvalid; the scenario then has what could still be read. Where config names a configuration, as a job does, what is wrong
// with others does not count; a name that none has is problem.Invalid. For a program, nothing is wrong with any configuration.
func (in *Intake) Validate(ctx context.Context, t tenant.Tenant, src io.Reader, about About) (Scenario, error) {
	s, err := in.receive(ctx, t, src)
	if err != nil {
		return Scenario{}, err
	}
	defer in.discard(ctx, s.Key)
	s.Manifest, err = in.inspect(ctx, s, about.Config, about.Program)
	switch {
	case err != nil:
		return s, err
	case about.Program:
		_, err = s.Manifest.ProgramConfig(about.Config)
		return s, err
	case about.Config == "":
		return s, s.Manifest.refuse()
	}
	chosen, err := s.Manifest.ChooseConfig(about.Config)
	if err != nil {
		return s, err
	}
	return s, chosen.Refuse(chosen.Interval(nil, nil))
}

// Delete removes a scenario that no job needs any longer. What it shares with others stays until the last of them is deleted.
func (in *Intake) Delete(ctx context.Context, t tenant.Tenant, digest string) (Scenario, error) {
	s, unneeded, err := in.Store.DeleteScenario(ctx, t.ID, digest)
	if err != nil {
		return Scenario{}, err
	}
	in.discard(ctx, unneeded...)
	return s, nil
}

// receive stores what comes from src, unchecked, as an object that nothing refers to yet.
func (in *Intake) receive(ctx context.Context, t tenant.Tenant, src io.Reader) (Scenario, error) {
	key := artifact.ScenarioKey(t.Namespace, in.NewID())
	up := &upload{src: src, left: in.Limits.Upload, digest: sha256.New()}
	size, err := in.Objects.Put(ctx, key, up, artifact.ContentType(key))
	switch {
	case up.left < 0:
		in.discard(ctx, key)
		return Scenario{}, tooLarge("more than "+bytesText(in.Limits.Upload), in.Limits)
	case up.err != nil && ctx.Err() == nil && problem.CodeOf(up.err) == problem.Internal:
		return Scenario{}, problem.Wrap(up.err, problem.Invalid, "The upload broke off after %s. Send it again.", bytesText(up.size))
	case up.err != nil:
		return Scenario{}, fmt.Errorf("reading the upload: %w", up.err)
	case err != nil:
		return Scenario{}, fmt.Errorf("storing the upload: %w", err)
	}
	return Scenario{TenantID: t.ID, Digest: hex.EncodeToString(up.digest.Sum(nil)), Key: key, Size: size}, nil
}

// Config returns the configuration of a stored scenario that a job asks for, as Manifest.ChooseConfig does. It checks the scenario anew
// when an older release checked it, or when the configuration has not been judged because of its name.
func (in *Intake) Config(ctx context.Context, s Scenario, requested string) (Config, error) {
	unjudged := s.Manifest.unjudged(requested)
	if s.Manifest.Current() && !unjudged {
		c, err := s.Manifest.ChooseConfig(requested)
		if err != nil && !s.Manifest.runsAlone() { // taken in for programs: say what keeps SUMO from running it alone
			if _, refusal := in.inspect(ctx, s, requested, false); refusal != nil {
				return Config{}, refusal
			}
		}
		return c, err
	}
	found, err := in.inspect(ctx, s, requested, false)
	if err != nil && (!unjudged || problem.CodeOf(err) != problem.ScenarioInvalid) {
		return Config{}, err
	}
	if err == nil {
		if _, err := in.Store.UpdateManifest(ctx, s.TenantID, s.Digest, found); err != nil {
			return Config{}, err
		}
	}
	return found.ChooseConfig(requested)
}

// ProgramConfig returns the configuration of a stored scenario for a job with a program, as Manifest.ProgramConfig does, and checks the
// scenario anew when Config does.
func (in *Intake) ProgramConfig(ctx context.Context, s Scenario, requested string) (Config, error) {
	if s.Manifest.Current() && !s.Manifest.unjudged(requested) {
		return s.Manifest.ProgramConfig(requested)
	}
	found, err := in.inspect(ctx, s, requested, false)
	if problem.CodeOf(err) == problem.ScenarioInvalid {
		found, err = in.inspect(ctx, s, requested, true)
	}
	if err == nil {
		_, err = in.Store.UpdateManifest(ctx, s.TenantID, s.Digest, found)
	}
	if err != nil {
		return Config{}, err
	}
	return found.ProgramConfig(requested)
}

// unjudged reports whether a request names a file as a configuration that was not judged as one, because of its name.
func (m Manifest) unjudged(requested string) bool {
	return requested != "" && len(m.named(requested)) == 0 && m.has(requested)
}

// has reports whether the zip has a file of this path or base name.
func (m Manifest) has(requested string) bool {
	return slices.ContainsFunc(m.Files, func(f File) bool {
		return f.Path == path.Clean(requested) || path.Base(f.Path) == requested
	})
}

// inspect reads a stored scenario in ranges. config is judged whatever its name; program is Limits.Program.
func (in *Intake) inspect(ctx context.Context, s Scenario, config string, program bool) (Manifest, error) {
	ctx, end, err := in.Share.Begin(ctx, s.TenantID)
	if err != nil {
		return Manifest{}, err
	}
	defer end()
	limits := in.Limits
	limits.Config, limits.Program = config, program
	return Inspect(ctx, s.Content(ctx, in.Objects), limits)
}

// discard removes objects that nothing refers to. If that fails, pruning finds them later.
func (in *Intake) discard(ctx context.Context, keys ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_ = in.Objects.Delete(ctx, keys...)
}

// upload counts and hashes what passes through, and fails over the limit so that nothing becomes visible in the store.
type upload struct {
	src    io.Reader
	digest hash.Hash
	size   int64
	left   int64 // negative once the limit is passed
	err    error // of reading src
}

var errUploadTooLarge = errors.New("upload over the limit")

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.src.Read(p)
	u.size += int64(n)
	if u.left -= int64(n); u.left < 0 {
		return 0, errUploadTooLarge
	}
	u.digest.Write(p[:n])
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}
