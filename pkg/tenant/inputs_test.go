package tenant

import (
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func TestInputBucketsAreABucketOrAFolderOfOne(t *testing.T) {
	t.Parallel()
	for bucket, allowed := range map[string]bool{
		"open":                  true,
		"open.data-2026":        true,
		"open/":                 true,
		"open/a/b/":             true,
		"open/ä b/":             true,
		"ours-not/":             true,
		"":                      false,
		"ab":                    false,
		"/":                     false,
		"Open":                  false,
		"-open":                 false,
		"open-":                 false,
		"s3://open":             false,
		"open/team":             false, // would open team-secret/ too
		"open//":                false,
		"open/a//b/":            false,
		"open/../ours/":         false,
		"open/a/./":             false,
		"open/\x00/":            false,
		"open/\xff/":            false,
		"ours":                  false,
		"ours/scenarios/":       false,
		strings.Repeat("x", 64): false,
		"open/" + strings.Repeat("x", 1024) + "/": false,
	} {
		err := checkInputBuckets([]string{"fine", bucket}, "ours")
		if (err == nil) != allowed || err != nil && problem.CodeOf(err) != problem.Invalid {
			t.Errorf("%q gives %v", bucket, err)
		}
	}
}

func TestInputsComeFromOpenedBucketsOnly(t *testing.T) {
	t.Parallel()
	tenant := Tenant{InputBuckets: []string{"open", "shared/acme/"}}
	for object, allowed := range map[[2]string]bool{
		{"open", "a.zip"}:                      true,
		{"open", "deep/down/a.zip"}:            true,
		{"open", "..a/b..zip"}:                 true,
		{"shared", "acme/a.zip"}:               true,
		{"shared", "acme/sub/a.zip"}:           true,
		{"shared", "acme"}:                     false,
		{"shared", "acme2/a.zip"}:              false,
		{"shared", "other/a.zip"}:              false,
		{"shared", "acme/../other/a.zip"}:      false,
		{"shared", "acme/./a.zip"}:             false,
		{"open", "../shared/other/a.zip"}:      false,
		{"open", "a/.."}:                       false,
		{"Open", "a.zip"}:                      false,
		{"open2", "a.zip"}:                     false,
		{"ope", "n/a.zip"}:                     false,
		{"", "open/a.zip"}:                     false,
		{"shared/acme", "a.zip"}:               false,
		{"closed", "shared/acme/a.zip"}:        false,
		{"shared", "/acme/a.zip"}:              false,
		{"shared", "acme\x00/a.zip"}:           false,
		{"shared", "ACME/a.zip"}:               false,
		{"shared", " acme/a.zip"}:              false,
		{"shared", "scenarios/acme/acme/.zip"}: false,
	} {
		if got := tenant.MayRead(object[0], object[1]); got != allowed {
			t.Errorf("MayRead(%q, %q) = %t", object[0], object[1], got)
		}
	}
	if (Tenant{}).MayRead("open", "a.zip") {
		t.Error("a tenant without buckets may read one")
	}
}
