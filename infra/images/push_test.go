package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// builtImages writes the archive of every image, with other files in it, and returns the images' digests by name.
func builtImages(t *testing.T) (folder string, digests map[string]string) {
	t.Helper()
	folder, digests = t.TempDir(), map[string]string{}
	for _, r := range recipesFor(release.All()) {
		i := r.image(contents{}, "")
		i.Layers = []oci.Layer{
			oci.Files(oci.File{Path: "/etc/name", Mode: 0o644, Data: []byte(r.name)}),
			oci.Files(oci.File{Path: i.Entrypoint[0], Mode: 0o755, Data: []byte(r.programs[0])}),
		}
		digest, err := i.WriteFile(filepath.Join(folder, r.file()))
		if err != nil {
			t.Fatal(err)
		}
		digests[strings.TrimPrefix(r.name, "dev.local/")] = digest
	}
	return folder, digests
}

// serve starts a registry on this machine and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestPushedImagesArePulledWithTheDigestsThatWereBuilt(t *testing.T) {
	t.Parallel()
	store := registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)))
	var uploads atomic.Int32
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && strings.Contains(r.URL.Path, "/blobs/") {
			uploads.Add(1)
		}
		store.ServeHTTP(w, r)
	}))
	folder, digests := builtImages(t)
	var out bytes.Buffer
	p := pusher{out: folder, registry: address + "/traffic/", recipes: recipesFor(release.All()), keys: authn.NewMultiKeychain(), log: &out}
	if err := p.push(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, r := range recipesFor(release.All()) {
		rest := strings.TrimPrefix(r.name, "dev.local/")
		want.WriteString(address + "/traffic/" + rest + "@" + digests[rest] + "\n")
		tag, err := name.NewTag(address + "/traffic/" + rest)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(tag)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := image.Digest(); err != nil || got.String() != digests[rest] {
			t.Errorf("%s has the digest %s (%v), want %s", tag, got, err, digests[rest])
		}
		if err := validate.Image(image); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
	}
	if diff := cmp.Diff(want.String(), out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if uploads.Swap(0) == 0 {
		t.Error("no upload was seen")
	}
	if err := p.push(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.tag = "v1.0.0"
	if err := p.push(t.Context()); err != nil {
		t.Fatal(err)
	}
	tagged := []string{"functions:v1.0.0"}
	for _, r := range release.All() {
		tagged = append(tagged, "sumo:"+r.Version+"-v1.0.0")
	}
	for _, image := range tagged {
		if !strings.Contains(out.String(), "/traffic/"+image+"@sha256:") {
			t.Errorf("%s was not pushed:\n%s", image, out.String())
		}
	}
	if n := uploads.Load(); n != 0 {
		t.Errorf("pushing again, and under other tags, made %d requests to upload blobs, want none", n)
	}
}

func TestAPushThatFailsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const unused = "127.0.0.1:1"
	denying := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"errors": [{"code": "DENIED", "message": "not yours"}]}`)
		}
	}))
	wantsLogin := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	broken := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusInsufficientStorage)
		}
	}))
	folder, _ := builtImages(t)
	for name, c := range map[string]struct{ registry, folder, want string }{
		"nothing built":        {unused, t.TempDir(), "run make images first"},
		"nobody listens":       {unused, folder, "the registry " + unused + " does not answer"},
		"denied":               {denying, folder, "denies writing functions: log in"},
		"without a login":      {wantsLogin, folder, "denies writing functions: log in"},
		"registry with faults": {broken, folder, "pushing " + broken + "/functions:dev: "},
		"no registry":          {"traffic", folder, `"traffic" does not name a registry`},
		"not even a name":      {"https://registry.example.org", folder, "does not name a registry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := pusher{out: c.folder, registry: c.registry, recipes: recipesFor(nil), keys: authn.NewMultiKeychain(), log: &out}.push(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
			if out.Len() > 0 {
				t.Errorf("it says of images that were not pushed: %s", &out)
			}
		})
	}
}
