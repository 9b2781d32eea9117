// Package page serves the web page of engineers and operators. Its sources are TypeScript; what `make page` builds of
// them is committed, so that Go alone is enough to build and run the service.
package page

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// dist is what `npm run build` writes: the page, and below ui its assets, named by their content hash.
//
//go:embed dist
var dist embed.FS

// policy lets the page load only its own assets, and talk only to the service that served it. It does not apply to downloads
// from the object store, which are plain links. The page may generate images itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// forever is a year, the longest that caches are customarily asked to keep anything.
const forever = "public, max-age=31536000, immutable"

// Register serves the page at / and its assets below /ui/. Only what exists is registered, so that everything else is
// answered like any unknown path.
func Register(mux *http.ServeMux) {
	index := &asset{name: "dist/index.html"}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store") // it names the assets of this release
		index.ServeHTTP(w, r)
	})
	entries, err := fs.ReadDir(dist, "dist/ui")
	if err != nil {
		panic(fmt.Sprintf("page: the embedded assets cannot be listed: %v", err)) // the compiler embedded them
	}
	for _, e := range entries {
		a := &asset{name: "dist/ui/" + e.Name()}
		mux.HandleFunc("GET /ui/"+e.Name(), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", forever)
			a.ServeHTTP(w, r)
		})
	}
}

// asset is one embedded file. It is compressed on its first request, so that a function that starts to answer
// another call does not pay for it.
type asset struct {
	name          string
	once          sync.Once
	plain, packed []byte
}

func (a *asset) load() {
	a.plain, _ = dist.ReadFile(a.name) // it was listed, or named by the embed directive
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(a.plain) // writes to a bytes.Buffer do not fail
	_ = z.Close()
	a.packed = b.Bytes()
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.once.Do(a.load)
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(a.name)))
	w.Header().Set("Vary", "Accept-Encoding")
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(a.packed) < len(a.plain) {
		w.Header().Set("Content-Encoding", "gzip")
		body = a.packed
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the browser may have disconnected
}
