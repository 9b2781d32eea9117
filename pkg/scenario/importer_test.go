package scenario

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func inputsOf(keys ...string) []input {
	out := make([]input, len(keys))
	for i, key := range keys {
		out[i] = input{bucket: "b", key: key}
	}
	return out
}

func TestFilesKeepTheirPathsBelowTheFolderTheyShare(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		keys []string
		want string
	}{
		"one file":                    {[]string{"a/b/x.xml"}, "a/b/"},
		"one file at the top":         {[]string{"x.xml"}, ""},
		"one folder":                  {[]string{"a/b/x.xml", "a/b/y.xml"}, "a/b/"},
		"a folder below":              {[]string{"a/x.xml", "a/b/y.xml"}, "a/"},
		"a folder above":              {[]string{"a/b/y.xml", "a/x.xml"}, "a/"},
		"names that begin alike":      {[]string{"a/net/x", "a/network/y"}, "a/"},
		"a file named like a folder":  {[]string{"a/b", "a/b/c"}, "a/"},
		"nothing shared":              {[]string{"a/x", "b/y"}, ""},
		"one of them at the top":      {[]string{"a/x", "y"}, ""},
		"three":                       {[]string{"a/b/c/x", "a/b/d/y", "a/e/z"}, "a/"},
		"empty names between slashes": {[]string{"//x", "//y"}, "//"},
		"a slash at the beginning":    {[]string{"/x", "y"}, ""},
		"the same file twice":         {[]string{"a/x", "a/x"}, "a/"},
	} {
		if got := sharedFolder(inputsOf(test.keys...)); got != test.want {
			t.Errorf("%s: sharedFolder(%q) = %q, want %q", name, test.keys, got, test.want)
		}
	}
}

func TestTheSharedFolderIsTheLongestOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringMatching(`([ab]{0,2}/){0,4}[ab]{1,2}`), 1, 5).Draw(t, "keys")
		folder := sharedFolder(inputsOf(keys...))
		if folder != "" && !strings.HasSuffix(folder, "/") {
			t.Fatalf("%q is no folder", folder)
		}
		deeper := map[string]bool{}
		for _, key := range keys {
			below, ok := strings.CutPrefix(key, folder)
			if !ok || below == "" {
				t.Fatalf("%q is not a file below %q", key, folder)
			}
			step, _, isFolder := strings.Cut(below, "/")
			deeper[step] = isFolder
			if !isFolder {
				deeper["a file here"] = true
			}
		}
		if len(deeper) == 1 {
			t.Errorf("%q all stand in a folder below %q", keys, folder)
		}
	})
}

func TestOnlyAddressesOfOpenedObjectsAreInputs(t *testing.T) {
	t.Parallel()
	im := &Importer{OwnBucket: "ours"}
	owner := tenant.Tenant{InputBuckets: []string{"ours", "open", "shared/acme/"}}
	for raw, want := range map[string]input{
		"s3://open/a/b.zip":           {"open", "a/b.zip"},
		"s3://open/with%20space.zip":  {"open", "with space.zip"},
		"s3://shared/acme/x.zip":      {"shared", "acme/x.zip"},
		"s3://ours/scenarios/x.zip":   {},
		"s3://shared/other/x.zip":     {},
		"s3://shared/acme/../x.zip":   {},
		"s3://shared/acme/%2e%2e/x":   {},
		"s3://closed/x.zip":           {},
		"s3://open":                   {},
		"s3://open/":                  {},
		"s3://open/folder/":           {},
		"s3:///x.zip":                 {},
		"S4://open/x.zip":             {},
		"s3://user:pw@open/x.zip":     {},
		"s3://open/x.zip?versionId=1": {},
		"s3://open/x.zip#part":        {},
		"https://open/x.zip":          {},
		"open/x.zip":                  {},
		"":                            {},
		"s3://open/%zz":               {},
		// Keys that no object has, or that servers take for different ones.
		"s3://open/%00x":                             {},
		"s3://open/a%0d%0ab.zip":                     {},
		"s3://open/a%7f":                             {},
		"s3://open/a%c2%85b":                         {}, // a control character beyond ASCII
		"s3://open/a\x00b":                           {},
		"s3://open/%ff.zip":                          {},
		"s3://open/\xff.zip":                         {},
		"s3://open/%ed%a0%80.zip":                    {}, // half of a character, as UTF-16 has them
		"s3://open/a/./x.zip":                        {},
		"s3://open/" + strings.Repeat("x", 1025):     {},
		"s3://open/" + strings.Repeat("%c3%bc", 513): {},
		"s3://open/" + strings.Repeat("x", 1024):     {"open", strings.Repeat("x", 1024)},
		"s3://open/%c3%bcber%20uns.zip":              {"open", "über uns.zip"},
		"s3://open/a\u2028b":                         {"open", "a\u2028b"},
		// Buckets are compared with those that were opened, and nothing of an address is made one of them.
		"s3://open%00/x.zip": {},
		"s3://open:80/x.zip": {},
		"s3://OPEN/x.zip":    {},
	} {
		got, err := im.parse(owner, raw)
		if got != want || (err == nil) != (want != input{}) || err != nil && problem.CodeOf(err) != problem.Invalid {
			t.Errorf("parse(%q) = %+v, %v", raw, got, err)
		}
	}
}
