package scenario

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// FuzzInspect holds that any archive is either described or refused as a problem, that what is accepted can be
// extracted, and that extracting writes nothing outside its folder.
func FuzzInspect(f *testing.F) {
	for _, seed := range [][]byte{
		nil, scenarioOf(f, ""), scenarioOf(f, `<a value="x.xml"/>`, entryOf("x.xml", `<additional><include href="y.xml"/></additional>`)),
		scenarioOf(f, "", entryOf("../x", "x")), scenarioOf(f, "", entryOf("x.gz", gzipped(net))),
		scenarioOf(f, "", stored("d/x", "xyz"), entryOf("e/", "")),
		zipOf(f, entryOf("s.sumocfg", inUTF16(binary.LittleEndian, true, cfg))),
	} {
		f.Add(seed)
	}
	limits := Limits{Upload: 1 << 20, Unpacked: 8 << 20, Entries: 50, Ratio: 200, Names: memoryBudget}
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		m, err := Inspect(t.Context(), Zip(bytes.NewReader(data), size), limits)
		if err != nil {
			checkProblem(t, err)
			return
		}
		for _, c := range m.Configs {
			for _, name := range c.Outputs {
				if !filepath.IsLocal(name) {
					t.Errorf("output %q is outside", name)
				}
			}
		}
		dir := t.TempDir()
		inside := filepath.Join(dir, "inside")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		var reads []string
		for _, c := range m.Configs {
			if len(c.Problems) == 0 {
				reads = append(reads, c.Reads...)
			}
		}
		if err := Extract(t.Context(), Zip(bytes.NewReader(data), size), limits, root, reads); err != nil {
			t.Errorf("accepted, but not extracted: %v", err)
		}
		for _, file := range m.Files {
			info, err := root.Stat(file.Path)
			if slices.Contains(reads, file.Path) != (err == nil) || err == nil && info.Size() != file.Size {
				t.Errorf("%s: %v, %v", file.Path, info, err)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("written outside: %v", left)
		}
	})
}

func checkProblem(t *testing.T, err error) {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != problem.ScenarioInvalid && p.Code != problem.TooLarge {
		t.Fatalf("not a problem of the scenario: %v", err)
	}
	if p.Detail == "" || len(p.Items) > maxItems+1 {
		t.Errorf("%d items, detail %q", len(p.Items), p.Detail)
	}
	for _, item := range p.Items {
		if strings.ContainsAny(item.Location+item.Message, "\x00\x1b\r\n") {
			t.Errorf("control characters reach people: %q", item)
		}
	}
}

// FuzzConfig holds that any configuration is either accepted with its outputs inside the scenario, or refused.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		cfg, `<configuration><net-file value="n.net.xml"/><fcd-output value="../x"/></configuration>`, `<a><n>n.net.xml</n></a>`,
		`<configuration><n v="n.net.xml"/><remote-port value="1"/><output-prefix value="${PID}/"/><end value="1:2:3"/></configuration>`,
		`<?xml version="1.0" encoding="ISO-8859-1"?><configuration><n v="n.net.xml"/><log value="&#46;./x"/></configuration>`,
		inUTF16(binary.BigEndian, true, cfg), gzipped(cfg), "<!DOCTYPE x>" + cfg,
		`<configuration><n v="n.net.xml"/><log value="%2e./a%7Eb"/><fcd-output value="a~b"/></configuration>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		data := zipOf(t, stored("d/s.sumocfg", string(config)), entryOf("d/n.net.xml", net), entryOf("d/r.rou.xml", routes))
		m, err := inspect(t, data, DefaultLimits())
		if err != nil {
			checkProblem(t, err)
			return
		}
		for _, name := range m.Configs[0].Outputs {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, ":\\") || strings.Contains(name, "${") || strings.HasPrefix(name, "~") {
				t.Errorf("output %q", name)
			}
		}
	})
}
