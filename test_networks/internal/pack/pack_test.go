package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scenario writes a folder like the one that generate.sh builds for square, generated at the given time.
func scenario(t *testing.T, when string) string {
	t.Helper()
	comment := "<!-- generated on " + when + " by netgenerate\n<configuration/>\n-->\n"
	dir := t.TempDir()
	for name, data := range map[string]string{
		"square.sumocfg": "<configuration>\n    <input>\n        <net-file value=\"square.net.xml\"/>\n" +
			"        <route-files value=\"square.rou.xml\"/>\n    </input>\n</configuration>\n",
		"square.net.xml": "<?xml version=\"1.0\"?>\n" + comment + "<net/>\n",
		"square.rou.xml": "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + comment + comment + "<routes>\n" +
			"    <vehicle depart=\"0.00\">\n    </vehicle>\n    <vehicle depart=\"5.00\">\n    </vehicle>\n</routes>\n",
		"net/other.net.xml.gz": string(gzipped([]byte(comment + "<net/>\n"))),
	} {
		if err := write(filepath.Join(dir, name), []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPackGivesTheSameBytesWhenever(t *testing.T) {
	t.Parallel()
	archives := func(when string) map[string][]byte {
		files, err := readFolder(scenario(t, when))
		if err != nil {
			t.Fatal(err)
		}
		packed := map[string][]byte{"square.zip": pack(files)}
		for _, b := range brokenArchives {
			if b.file != "zip_bomb.zip" { // takes seconds and does not differ from the rest
				packed[b.file] = b.build(files)
			}
		}
		return packed
	}
	if diff := cmp.Diff(archives("2001-01-01"), archives("2002-02-02")); diff != "" {
		t.Errorf("archives of two days differ:\n%s", diff)
	}
}

func TestCompareNamesTheZipsThatDiffer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name string
		data []byte
		want string // in the error; empty for none
	}{
		"nothing changed": {"ready_to_use/a.zip", pack([]file{{name: "x.xml", data: []byte("<x/>")}}), ""},
		"other content":   {"ready_to_use/a.zip", pack([]file{{name: "x.xml", data: []byte("<y/>")}}), "ready_to_use/a.zip"},
		"other name":      {"ready_to_use/a.zip", pack([]file{{name: "y.xml", data: []byte("<x/>")}}), "ready_to_use/a.zip"},
		"other mode":      {"ready_to_use/a.zip", pack([]file{{name: "x.xml", data: []byte("<x/>"), mode: 0o755}}), "ready_to_use/a.zip"},
		"a zip more":      {"broken/b.zip", pack(nil), "broken/b.zip"},
		"no zip any more": {"ready_to_use/a.zip", []byte("text"), "ready_to_use/a.zip"},
		"other gzip, same text": {"ready_to_use/gz.zip",
			pack([]file{{name: "x.gz", data: append(gzipped([]byte("<x")), gzipped([]byte("/>"))...)}}), ""},
		"other text in gzip": {"ready_to_use/gz.zip", pack([]file{{name: "x.gz", data: gzipped([]byte("<y/>"))}}), "ready_to_use/gz.zip"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := t.TempDir(), t.TempDir()
			for _, dir := range []string{before, after} {
				for name, data := range map[string][]byte{
					"ready_to_use/a.zip":  pack([]file{{name: "x.xml", data: []byte("<x/>")}}),
					"ready_to_use/gz.zip": pack([]file{{name: "x.gz", data: gzipped([]byte("<x/>"))}}),
				} {
					if err := write(filepath.Join(dir, name), data); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := write(filepath.Join(after, tt.name), tt.data); err != nil {
				t.Fatal(err)
			}
			err := compare(before, after)
			if tt.want == "" && err != nil {
				t.Errorf("compare = %v, want no difference", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("compare = %v, want it to name %s", err, tt.want)
			}
		})
	}
}
