package artifact_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestALinkIsReadAsItWasSignedUntilItExpires(t *testing.T) {
	t.Parallel()
	secret, now := []byte("secret"), time.Unix(1_800_000_000, 0)
	want := artifact.Link{Key: "results/ns/s/j/files.zip", Offset: 40, Size: 3, Name: "földer/log.txt", SHA256: "ab", Expires: now.Unix() + 1}
	token := want.Sign(secret)
	if got, err := artifact.ReadLink(token, secret, now); err != nil || got != want {
		t.Errorf("read as %+v, %v:\n%s", got, err, cmp.Diff(want, got))
	}
	if escaped := strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."); escaped != "" {
		t.Errorf("%s is no segment of a path", token)
	}
	other := want
	other.Key = "results/ns/s/other/files.zip"
	_, signature, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(other.Sign(secret), ".")
	for name, c := range map[string]struct {
		token  string
		secret string
		after  time.Duration
		says   string
	}{
		"expired":             {token, "secret", time.Second, "expired"},
		"another secret":      {token, "other", 0, "not valid"},
		"another payload":     {payload + "." + signature, "secret", 0, "not valid"},
		"cut":                 {token[:len(token)-1], "secret", 0, "not valid"},
		"without a signature": {payload + ".", "secret", 0, "not valid"},
		"signed, but no link": {"." + signature, "secret", 0, "not valid"},
		"empty":               {"", "secret", 0, "not valid"},
	} {
		if _, err := artifact.ReadLink(c.token, []byte(c.secret), now.Add(c.after)); problem.CodeOf(err) != problem.Forbidden ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryContentTypeIsListed(t *testing.T) {
	t.Parallel()
	want := []string{
		"application/gzip", "application/json", "application/octet-stream", "application/vnd.apache.parquet", "application/xml",
		"application/zip", "text/csv", "text/plain",
	}
	if diff := cmp.Diff(want, artifact.ContentTypes()); diff != "" {
		t.Errorf("the types (-want +got):\n%s", diff)
	}
}
