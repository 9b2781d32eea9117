package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// uploading is records with uploads.
type uploading struct {
	*records
	uploads map[string]Upload
	// lookedUp runs behind each look at an upload.
	lookedUp func()
}

func (r *uploading) BeginUpload(_ context.Context, u Upload, _ *idempotency.Request, _ int) (Upload, bool, error) {
	r.uploads[u.ID] = u
	return u, true, nil
}

func (r *uploading) Upload(_ context.Context, _, id string) (Upload, error) {
	u, ok := r.uploads[id]
	if !ok {
		return Upload{}, problem.New(problem.NotFound, "no upload")
	}
	if r.lookedUp != nil {
		r.lookedUp()
	}
	return u, nil
}

func (r *uploading) FinishUpload(_ context.Context, _, id, digest string) error {
	u := r.uploads[id]
	u.Digest = digest
	r.uploads[id] = u
	return nil
}

func (r *uploading) DeleteUpload(_ context.Context, _, id string) error {
	if _, ok := r.uploads[id]; !ok {
		return problem.New(problem.NotFound, "no upload")
	}
	delete(r.uploads, id)
	return nil
}

// begun is an intake with one upload, whose file has arrived.
func begun(t *testing.T, file []byte, expected string) (b intakeBundle, store *uploading, id, key string) {
	t.Helper()
	b = setupIntake()
	store = &uploading{records: b.records, uploads: map[string]Upload{}}
	b.Store = store
	u, created, err := b.Begin(t.Context(), b.tenant, Upload{Name: "city", Size: int64(len(file)), Expected: expected}, nil)
	if err != nil || !created {
		t.Fatalf("created=%t, %v", created, err)
	}
	key = artifact.UploadKey("sumo-t", u.ID)
	b.objects.data[key] = file
	return b, store, u.ID, key
}

func TestCompleteAcceptsACopyOutOfTheClientsReach(t *testing.T) {
	t.Parallel()
	data := scenarioOf(t, "")
	digest := fmt.Sprintf("%x", sha256.Sum256(data))
	b, _, id, key := begun(t, data, digest)
	s, created, err := b.Complete(t.Context(), b.tenant, id, false)
	if err != nil || !created || s.Digest != digest || s.Name != "city" || s.Key == key {
		t.Fatalf("%+v, created=%t, %v", s, created, err)
	}
	if len(b.objects.data) != 1 || !bytes.Equal(b.objects.data[s.Key], data) {
		t.Errorf("the store has %d objects", len(b.objects.data))
	}
	b.objects.data[key] = []byte("put by the same link, later")
	again, created, err := b.Complete(t.Context(), b.tenant, id, false)
	if diff := cmp.Diff(s, again); err != nil || created || diff != "" {
		t.Errorf("again: created=%t, %v, %s", created, err, diff)
	}
	// Announced with its digest, what is known is not asked for.
	known, created, err := b.Begin(t.Context(), b.tenant, Upload{Size: 1, Expected: digest}, nil)
	if err != nil || created || known.Digest != digest || known.ID != "" {
		t.Errorf("announced again: %+v, %v", known, err)
	}
}

func TestCompleteRemovesWhatItRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file     []byte
		expected string
		limit    int64
		code     problem.Code
	}{
		"not a zip":        {[]byte("text"), "", 1 << 20, problem.ScenarioInvalid},
		"not as announced": {scenarioOf(t, ""), fmt.Sprintf("%064d", 0), 1 << 20, problem.Invalid},
		"too large":        {scenarioOf(t, ""), "", 100, problem.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, store, id, _ := begun(t, test.file, test.expected)
			b.Limits.Upload = test.limit
			_, _, err := b.Complete(t.Context(), b.tenant, id, false)
			if problem.CodeOf(err) != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
			if len(b.objects.data) != 0 || len(store.uploads) != 0 || len(b.records.known) != 0 {
				t.Errorf("left behind: %v, %v, %v", b.objects.data, store.uploads, b.records.known)
			}
		})
	}
}

// broken is a store whose objects break off while they are read.
type broken struct{ *objects }

func (b broken) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, err := b.objects.Open(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	failure := problem.New(problem.Unavailable, "The object store is unreachable.")
	return io.NopCloser(io.MultiReader(io.LimitReader(body, 9), iotest.ErrReader(failure))), nil
}

func TestCompleteCanBeRepeatedWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	b, store, id, key := begun(t, scenarioOf(t, ""), "")
	b.Objects = broken{b.objects}
	if _, _, err := b.Complete(t.Context(), b.tenant, id, false); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("got %v", err)
	}
	if b.objects.data[key] == nil || len(store.uploads) != 1 {
		t.Fatal("the upload is gone, though nothing is wrong with it")
	}
	b.Objects = b.objects
	if _, created, err := b.Complete(t.Context(), b.tenant, id, false); err != nil || !created {
		t.Errorf("again: created=%t, %v", created, err)
	}
}

func TestCompleteWaitsForTheFile(t *testing.T) {
	t.Parallel()
	b, store, id, key := begun(t, scenarioOf(t, ""), "")
	delete(b.objects.data, key)
	if _, _, err := b.Complete(t.Context(), b.tenant, id, false); problem.CodeOf(err) != problem.Conflict || len(store.uploads) != 1 {
		t.Errorf("got %v, with %d uploads", err, len(store.uploads))
	}
}

func TestCompleteAnswersWhatAFasterCallHasMade(t *testing.T) {
	t.Parallel()
	b, store, id, _ := begun(t, scenarioOf(t, ""), "")
	var faster Scenario
	store.lookedUp = func() {
		store.lookedUp = nil
		var err error
		if faster, _, err = b.Complete(t.Context(), b.tenant, id, false); err != nil {
			t.Error(err)
		}
	}
	s, created, err := b.Complete(t.Context(), b.tenant, id, false)
	if diff := cmp.Diff(faster, s); err != nil || created || diff != "" {
		t.Errorf("created=%t, %v, (-faster +slower):\n%s", created, err, diff)
	}
}

func TestBeginRefusesWhatIsTooLargeBeforeItIsSent(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	b.Store = &uploading{records: b.records, uploads: map[string]Upload{}}
	b.Limits.Upload = 10 << 30
	for _, size := range []int64{b.Limits.Upload + 1, maxSinglePut + 1} {
		if _, _, err := b.Begin(t.Context(), b.tenant, Upload{Size: size}, nil); problem.CodeOf(err) != problem.TooLarge {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
