// Package networks embeds the SUMO scenarios of tests and the demonstration, and the broken ones with the answer that
// each must get.
package networks

import (
	"archive/zip"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// ReadyFiles are the scenarios that run as they are: ready_to_use/NAME.zip.
//
//go:embed ready_to_use/*.zip
var ReadyFiles embed.FS

// BrokenFiles are the scenarios that must be refused, broken/*.zip, and broken/expected.json, which holds the answers.
//
//go:embed broken/*
var BrokenFiles embed.FS

// CaseFiles are scenarios as people make them, cases/*.zip, and cases/expected.json, which says what becomes of each.
//
//go:embed cases/*
var CaseFiles embed.FS

// Ready returns the names of the scenarios that run, sorted, without ".zip".
func Ready() []string {
	entries, err := ReadyFiles.ReadDir("ready_to_use")
	if err != nil {
		panic(fmt.Sprintf("the embedded folder ready_to_use: %v", err))
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".zip"))
	}
	return names
}

// ReadyZip returns the zip of one of the scenarios that Ready names.
func ReadyZip(name string) ([]byte, error) {
	data, err := ReadyFiles.ReadFile(path.Join("ready_to_use", name+".zip"))
	if err != nil {
		return nil, fmt.Errorf("test network %q; there are %s: %w", name, strings.Join(Ready(), ", "), err)
	}
	return data, nil
}

// Edited returns the zip of a ready scenario with each of its files changed by edit.
func Edited(name string, edit func(file, content string) string) ([]byte, error) {
	return rewritten(name, edit, nil)
}

// With returns the zip of a ready scenario with more files, by name.
func With(name string, more map[string]string) ([]byte, error) {
	return rewritten(name, func(_, content string) string { return content }, more)
}

// Reading returns the zip of a ready scenario with a further file, which its configuration names, so that a run has it. SUMO reads the
// file only for positions (fcd), which the scenario does not write.
func Reading(name, file, content string) ([]byte, error) {
	return rewritten(name, func(in, was string) string {
		if !strings.HasSuffix(in, ".sumocfg") {
			return was
		}
		return strings.Replace(was, "</configuration>", `<fcd-output.filter-edges.input-file value="`+file+`"/></configuration>`, 1)
	}, map[string]string{file: content})
}

func rewritten(name string, edit func(file, content string) string, more map[string]string) ([]byte, error) {
	raw, err := ReadyZip(name)
	if err != nil {
		return nil, err
	}
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("reading test network %s: %w", name, err)
	}
	var buffer bytes.Buffer
	out := zip.NewWriter(&buffer)
	for _, f := range in.File {
		content, err := fs.ReadFile(in, f.Name)
		if err != nil {
			return nil, fmt.Errorf("reading test network %s: %w", name, err)
		}
		if err := add(out, f.Name, edit(f.Name, string(content))); err != nil {
			return nil, err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(more)) {
		if err := add(out, file, more[file]); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func add(z *zip.Writer, file, content string) error {
	w, err := z.Create(file)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, content)
	return err
}

// Endless returns a scenario that runs until it is stopped: the square network with a vehicle every second for years.
func Endless() ([]byte, error) {
	return Edited("square", func(file, content string) string {
		switch {
		case strings.HasSuffix(file, ".sumocfg"):
			return strings.Replace(content, `<end value="300"/>`, `<end value="99999999"/>`, 1)
		case strings.HasSuffix(file, ".rou.xml"):
			_, rest, _ := strings.Cut(content, `edges="`)
			edges, _, _ := strings.Cut(rest, `"`)
			return fmt.Sprintf(`<routes><route id="r" edges="%s"/><flow id="f" route="r" begin="0" end="99999999" period="1"/></routes>`, edges)
		}
		return content
	})
}

// BrokenCase is an upload that must be refused, and the answer to it.
type BrokenCase struct {
	File   string       `json:"file"`   // in broken/
	Status int          `json:"status"` // of the HTTP answer
	Code   problem.Code `json:"code"`
	// Problems must all be in the answer. It may have more.
	Problems []Problem `json:"problems"`
}

// Problem is one fault that an answer must name.
type Problem struct {
	// Location is a path inside the zip, with ":" and the line where one line is at fault. Without a line any line
	// will do. It is empty when the archive as a whole is at fault.
	Location string `json:"location"`
	// Contains is what the message must contain, in lower case: a name or a word that every good message has.
	Contains string `json:"contains"`
}

// Case is a scenario as people make them. Plain SUMO runs it, except where Problems says why not.
type Case struct {
	File       string `json:"file"`        // in cases/
	ConfigFile string `json:"config_file"` // with which it is submitted
	// Several are the configurations among which a submission without config_file must choose.
	Several []string `json:"several"`
	// Problems are why it is refused: by the versions in Unfit, or by all when there are none.
	Problems []Problem `json:"problems"`
	Unfit    []string  `json:"unfit"`
	// Warnings must all be said when it is uploaded, and on the job. Strict is true when a strict run is refused for them.
	Warnings []Problem `json:"warnings"`
	Strict   bool      `json:"strict"`
	Seed     *int64    `json:"seed"`    // which runs use; nil for SUMO's default
	Results  []string  `json:"results"` // outputs of its own, by name
}

// Zip returns the bytes to upload.
func (c Case) Zip() ([]byte, error) { return CaseFiles.ReadFile(path.Join("cases", c.File)) }

// Cases returns the cases in cases/expected.json.
func Cases() []Case { return listed[Case](CaseFiles, "cases/expected.json") }

// MissingFrom returns those of the problems that no text of a list names: a location, a colon, and a message.
func MissingFrom(texts []string, problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool {
		return slices.ContainsFunc(texts, func(text string) bool {
			return strings.HasPrefix(text, p.Location+":") && strings.Contains(strings.ToLower(text), p.Contains)
		})
	})
}

// Broken returns the cases in expected.json.
func Broken() []BrokenCase { return listed[BrokenCase](BrokenFiles, "broken/expected.json") }

func listed[T any](files embed.FS, name string) (list []T) {
	data, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		panic(fmt.Sprintf("the embedded %s: %v", name, err))
	}
	return list
}

// Zip returns the bytes to upload, which need not be a zip.
func (c BrokenCase) Zip() ([]byte, error) { return BrokenFiles.ReadFile(path.Join("broken", c.File)) }

// Missing returns those of the case's problems that an answer with this detail and these items does not name. What is
// wrong with the archive as a whole may be in either.
func (c BrokenCase) Missing(detail string, items []problem.Item) []Problem {
	answer := append([]problem.Item{{Message: detail}}, items...)
	return slices.DeleteFunc(slices.Clone(c.Problems), func(p Problem) bool {
		return slices.ContainsFunc(answer, p.is)
	})
}

func (p Problem) is(item problem.Item) bool {
	here := item.Location == p.Location || p.Location != "" && strings.HasPrefix(item.Location, p.Location+":")
	return here && strings.Contains(strings.ToLower(item.Message), p.Contains)
}
