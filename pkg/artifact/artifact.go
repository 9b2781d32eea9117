// Package artifact defines the stored bytes: where each scenario and result stands in the object store, and the
// operations on them.
package artifact

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Object is one stored object.
type Object struct {
	Key      string
	Size     int64 // bytes
	ETag     string
	Modified time.Time
}

// Store is an object store with one bucket of our own. Every method answers problem.NotFound for a missing object,
// problem.Unavailable when the store is unreachable or asks to retry, and problem.StorageRefused or problem.TooLarge when it
// refuses the request and retrying does not help.
type Store interface {
	// Put streams r to key and returns the object's size in bytes. Memory is bounded whatever r's length, and nothing
	// is visible at key unless all of r was read without error.
	Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error)
	// Open reads length bytes of key from offset; a negative length reads to the end. The caller closes it.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat describes key.
	Stat(ctx context.Context, key string) (Object, error)
	// List calls yield for each object under prefix, in key order, until yield returns false.
	List(ctx context.Context, prefix string, yield func(Object) bool) error
	// Delete removes keys; missing ones are no error.
	Delete(ctx context.Context, keys ...string) error
	// PresignGet returns a URL that reads key for the given time without credentials. A browser saves it as filename
	// when that is not empty.
	PresignGet(ctx context.Context, key, filename string, valid time.Duration) (string, error)
	// PresignPut returns a URL to which exactly size bytes can be PUT as key for the given time without credentials.
	PresignPut(ctx context.Context, key string, size int64, valid time.Duration) (string, error)
	// URL is the object's s3:// address, which shows people where it is without granting access.
	URL(key string) string
	// Ping reports whether the store answers and the bucket is there.
	Ping(ctx context.Context) error
}

// Remover is the part of a Store that removes objects.
type Remover interface {
	List(ctx context.Context, prefix string, yield func(Object) bool) error
	Delete(ctx context.Context, keys ...string) error
}

// removeBatch bounds the keys that RemoveAll holds in memory at a time.
const removeBatch = 10_000

// RemoveAll deletes every object under prefix, except those under the prefixes that are kept. It lists them rather than trusting a record:
// a run that was lost may have left others. Repeating it is no error.
func RemoveAll(ctx context.Context, store Remover, prefix string, kept ...string) error {
	for {
		var keys []string
		if err := store.List(ctx, prefix, func(o Object) bool {
			if !slices.ContainsFunc(kept, func(k string) bool { return strings.HasPrefix(o.Key, k) }) {
				keys = append(keys, o.Key)
			}
			return len(keys) < removeBatch
		}); err != nil {
			return err
		}
		if len(keys) == 0 {
			return nil
		}
		if err := store.Delete(ctx, keys...); err != nil || len(keys) < removeBatch {
			return err
		}
	}
}

// Inputs reads objects from buckets that are not ours, named by tenants as s3:// URLs.
type Inputs interface {
	// OpenInput reads a whole object. Its size in bytes is returned beside the body, which the caller closes.
	OpenInput(ctx context.Context, bucket, key string) (io.ReadCloser, int64, error)
}

// maxKey is S3's own limit, in bytes of UTF-8.
const maxKey = 1024

// InputKeyFault reports what is wrong with the key of an input, or a prefix of one, as the end of a sentence about it. It is
// empty for a key that means the same object to every S3 server.
func InputKeyFault(key string) string {
	steps := strings.Split(key, "/")
	switch {
	case len(key) > maxKey:
		return fmt.Sprintf("is %d bytes long, and S3 allows at most 1,024; copy the object to a shorter key", len(key))
	case !utf8.ValidString(key):
		return "is not valid UTF-8; percent-encode its UTF-8 bytes in the URL"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "contains a control character; copy the object to a key without one"
	case slices.Contains(steps, "."), slices.Contains(steps, ".."):
		return `contains "." or ".." as a path segment, which some S3 servers resolve and others take literally; remove it`
	}
	return ""
}

// Prefixes under which everything of ours is kept; a tenant's objects stand under its namespace, so that one listing
// finds or removes all of them.
const (
	ScenarioPrefix = "scenarios/"
	ResultPrefix   = "results/"
	// ViewPrefix is for what is derived from results. Runs write to ResultPrefix only, under names that scenarios choose.
	ViewPrefix = "views/"
	// UploadPrefix is for what clients put into the store themselves. Nothing there is trusted, and none of it stays.
	UploadPrefix = "uploads/"
	// ChunkPrefix is for what a chunk of runs is to do (see package chunk), and StatePrefix for how it stands. Only chunks at work have
	// anything there.
	ChunkPrefix = "chunks/"
	StatePrefix = "states/"
)

// SweepPlace has the key up to which a search for orphaned objects came that had to stop; it is there only between such a search and one
// that reaches the end.
const SweepPlace = "sweep/place"

const stateSuffix = ".json.gz"

// ChunkState is where a chunk's keeper says how its runs stand.
func ChunkState(namespace, chunkID string) string {
	return StatePrefix + namespace + "/" + chunkID + stateSuffix
}

// ChunkList is where the list of a chunk's runs is kept.
func ChunkList(namespace, chunkID string) string {
	return ChunkPrefix + namespace + "/" + chunkID + "/runs.json"
}

// ChunkCancelled is where the runs of a chunk that are to be stopped are named.
func ChunkCancelled(namespace, chunkID string) string {
	return ChunkPrefix + namespace + "/" + chunkID + "/cancelled.json"
}

// ChunkOf returns the id of the chunk that an object under ChunkPrefix or StatePrefix belongs to; empty if it is none of ours.
func ChunkOf(key string) string {
	parts := strings.SplitN(key, "/", 4) // prefix, namespace, chunk, name
	if len(parts) < 3 {
		return ""
	}
	return strings.TrimSuffix(parts[2], stateSuffix)
}

// Prefixes returns all of them.
func Prefixes() []string {
	return []string{ScenarioPrefix, ResultPrefix, ViewPrefix, UploadPrefix, ChunkPrefix, StatePrefix}
}

// NamespaceOf is that of the tenant to whom the object at a key belongs; empty if the key is none of ours.
func NamespaceOf(key string) string {
	parts := strings.SplitN(key, "/", 3) // prefix, namespace, the rest
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

// ScenarioKey is where the upload called uploadID of the tenant with this namespace is kept. Content addressing happens
// in Postgres: a digest is known only when the last byte has arrived, and S3 cannot rename.
func ScenarioKey(namespace, uploadID string) string {
	return ScenarioPrefix + namespace + "/" + uploadID + ".zip"
}

// OverlayKey is where the files are kept that a derived scenario has in place of those of its base, under an id like that of an upload.
func OverlayKey(namespace, id string) string {
	return ScenarioPrefix + namespace + "/" + id + ".overlay.zip"
}

// UploadKey is where a client puts the upload called id.
func UploadKey(namespace, id string) string {
	return UploadPrefix + namespace + "/" + id + ".zip"
}

// ResultsOf is the prefix, ending in a slash, of all that a job wrote.
func ResultsOf(namespace, jobID string) string {
	return ResultPrefix + namespace + "/" + jobID + "/"
}

// ResultsOfRun is the prefix, ending in a slash, of all that a run of a study wrote. It begins with StudyResults.
func ResultsOfRun(namespace, studyID, jobID string) string {
	return StudyResults(namespace, studyID) + jobID + "/"
}

// StudyResults is the prefix, ending in a slash, of all that the runs of a study wrote.
func StudyResults(namespace, studyID string) string {
	return ResultPrefix + namespace + "/" + studyID + "/"
}

// PackFile is the object, beside the other results of a job, that holds its small files: a zip without compression, so that each of them
// is a range of it. Runs of a study have one, since S3 has no request that stores several objects.
const PackFile = "files.zip"

// PackBelow is the size, in bytes, from which a file is an object of its own. Below it, a request costs more than the bytes.
const PackBelow = 1 << 20

// maxResultName is the longest name of a result, in bytes: a key has maxKey, and the job's prefix takes some of them.
const maxResultName = 900

// Storable reports whether a result may have a name: an object store takes it in a key and can list it.
func Storable(name string) bool {
	return len(name) <= maxResultName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// Disposition is the Content-Disposition header with which a browser saves a download as name, whatever characters it has.
func Disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\/:*?<>|%`, r) {
			return '_'
		}
		return r
	}, name)
	header := `attachment; filename="` + plain + `"`
	if plain != name {
		// RFC 6266: clients that understand filename* prefer it, and percent-encoding keeps it on its line.
		safe := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || strings.ContainsRune(`"\/:*?<>|`, r) {
				return '_'
			}
			return r
		}, name)
		header += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(safe), "+", "%20")
	}
	return header
}

// ViewOf is where a view of the results under a prefix is kept (see package view). No run writes there.
func ViewOf(results, name string) string {
	return ViewPrefix + strings.TrimPrefix(results, ResultPrefix) + name
}

// LiveReplay is the prefix, ending in a slash, of the recording of a run that goes on, below that of its results: an index and segments.
// With the end of the run it is a result, and this is removed.
func LiveReplay(results string) string { return results + "replay/" }

// LiveReplayIndex is where the index of such a recording is kept, and LiveReplaySegment each of its segments. Those of an earlier attempt
// have other keys.
func LiveReplayIndex(results string) string { return LiveReplay(results) + "index.json" }

// LiveReplaySegment is where segment n of an attempt is kept.
func LiveReplaySegment(results, attempt string, n int) string {
	return LiveReplay(results) + attempt + "/" + strconv.Itoa(n)
}

// RemoveResults deletes the results under a prefix and their views, except those under the prefixes that are kept. Views go last: one that
// is made meanwhile finds no results.
func RemoveResults(ctx context.Context, store Remover, results string, kept ...string) error {
	// A shorter prefix is that of many jobs, or of everything.
	if !strings.HasPrefix(results, ResultPrefix) || !strings.HasSuffix(results, "/") || strings.Contains(results, "//") ||
		strings.Count(results, "/") < strings.Count(ResultsOf("namespace", "job"), "/") {
		return fmt.Errorf("%q is not what the keys of a job's results begin with", results)
	}
	if err := RemoveAll(ctx, store, results, kept...); err != nil {
		return err
	}
	views := make([]string, len(kept))
	for i, k := range kept {
		views[i] = ViewOf(k, "")
	}
	return RemoveAll(ctx, store, ViewOf(results, ""), views...)
}

// contentTypes are the media types of result files by the ends of their names, and otherType that of all others.
var contentTypes = map[string]string{
	".xml": "application/xml", ".json": "application/json", ".gz": "application/gzip", ".zip": "application/zip",
	".csv": "text/csv; charset=utf-8", ".parquet": "application/vnd.apache.parquet",
	".txt": "text/plain; charset=utf-8", ".log": "text/plain; charset=utf-8",
}

const otherType = "application/octet-stream"

// ContentType is the media type of a result file, by its name.
func ContentType(name string) string {
	return cmp.Or(contentTypes[strings.ToLower(path.Ext(name))], otherType)
}

// ContentTypes are all media types of result files, without parameters.
func ContentTypes() []string {
	types := []string{otherType}
	for _, t := range contentTypes {
		t, _, _ = strings.Cut(t, ";")
		types = append(types, t)
	}
	slices.Sort(types)
	return slices.Compact(types)
}
