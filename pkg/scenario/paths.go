package scenario

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// placed is what a name in a scenario stands for.
type placed struct {
	name string // path inside the scenario; empty when SUMO would use no file at all
	// moved is where SUMO would have written, when that is outside the scenario or no file; name is then our choice.
	moved string
	note  string // how name differs from what is written, as the end of a sentence
	fault string // why there is no such path
}

// place returns the path inside the scenario of the file that is named value in folder dir. instead is the name of an output that
// has none of its own, such as one on the console.
func place(dir, value string, u use, instead string) placed {
	writes := u.writes()
	fault := func(text string) placed { return placed{fault: text} }
	switch {
	case value == "":
		return placed{}
	case writes && (value == devNull || value == "nul" || value == "NUL"):
		return placed{}
	case u == mayRead && value == devNull:
		return placed{}
	case writes && (streams[strings.ToLower(value)] || strings.HasPrefix(value, "/dev/")):
		return placed{name: path.Join(dir, instead), moved: value, note: "is SUMO's console, not a file"}
	case streams[strings.ToLower(value)]:
		return fault("is SUMO's name for a stream, not a file: rename the file")
	case strings.Contains(value, "://"):
		return fault("is a URL, and there is no network here: put the file into the zip and name it")
	case strings.ContainsFunc(value, unicode.IsControl):
		return fault("contains control characters: rename the file")
	case strings.Contains(value, "${") && !writes:
		return fault("contains a variable (${…}), which SUMO would replace: write the name itself")
	case strings.HasPrefix(value, "~") && !writes:
		return fault("is in a home folder, and there is none here: put the file into the zip and name it relative to this file")
	case strings.HasPrefix(value, `\\`) || driveLetter.MatchString(value) && !writes, strings.HasPrefix(value, "/") && !writes:
		return fault("is an absolute path: name the file relative to the folder of this file")
	case len(value) > maxPathValue:
		return fault("is too long")
	}
	p := placed{}
	plain := value
	if writes {
		plain = variable.ReplaceAllString(plain, "")
		if plain != value {
			p.note = variableNote
			if strings.HasSuffix(plain, "/") && !strings.HasSuffix(value, "/") {
				plain += instead // the variable was the file's whole name
			}
		}
		if plain == "" {
			plain = instead
		}
	}
	if slashed := strings.ReplaceAll(plain, `\`, "/"); slashed != plain {
		plain, p.note = slashed, `contains '\', which is '/' only on Windows`
	}
	switch last := path.Base(plain); {
	case isFolder(plain) && writes:
		return fault("names a folder: name a file")
	case strings.HasPrefix(plain, "/") && !writes:
		return fault("is an absolute path: name the file relative to the folder of this file")
	case strings.HasPrefix(plain, "~"), strings.HasPrefix(plain, "/"), driveLetter.MatchString(plain):
		p.moved, p.note = plain, "is outside the scenario"
		plain, dir = driveLetter.ReplaceAllString(strings.TrimPrefix(last, "~"), ""), ""
	}
	switch {
	case writes && strings.Contains(plain, ":"):
		return fault("is a network address (host:port), and there is no network here: name a file")
	case strings.Contains(plain, "%") && u == writeSafety:
		return fault("contains '%', which versions of SUMO read differently: choose another name")
	case strings.Contains(plain, "${"):
		return fault("contains a variable (${…}), which SUMO would replace: write the name itself")
	}
	p.name = path.Join(dir, plain)
	if p.name == ".." || strings.HasPrefix(p.name, "../") {
		if !writes {
			return fault("is outside the scenario: put the file into the zip and name it from there")
		}
		p.moved, p.note = p.name, "is outside the scenario"
		for strings.HasPrefix(p.name, "../") {
			p.name = p.name[len("../"):]
		}
	}
	switch {
	case p.name == "." && u != mayRead, p.name == "..", p.name == "":
		return fault("names a folder: name a file")
	case writes && strings.Contains(p.name, ":"):
		return fault("is in a folder with ':' in its name, which makes it a network address to SUMO: rename the folder")
	}
	return p
}

// variable is what SUMO replaces in names: environment variables, and the time and number of the process.
var variable = regexp.MustCompile(`\$\{[^}]*\}`)

const variableNote = "contains a variable, which differs from run to run"

// relative returns how a file in folder dir names another one; both are inside the scenario.
func relative(dir, name string) string {
	from, to := strings.Split(path.Clean(dir), "/"), strings.Split(name, "/")
	if path.Clean(dir) == "." {
		from = nil
	}
	for len(from) > 0 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return strings.Repeat("../", len(from)) + strings.Join(to, "/")
}

// numbers remembers the number that each name got last, since a scenario may have thousands of outputs with one name.
type numbers map[string]int

// free returns name, or the first of its numbered variants that is not taken.
func (n numbers) free(name string, taken func(string) bool) string {
	dir, base := path.Split(name)
	stem, ext, dotted := strings.Cut(base, ".")
	variant := name
	for taken(variant) {
		n[name] = max(n[name], 1) + 1
		variant = dir + stem + "-" + strconv.Itoa(n[name])
		if dotted {
			variant += "." + ext
		}
	}
	return variant
}

// directory finds the files of a zip by the names that scenarios give them. Programs and file systems write accented letters in
// different forms (Unicode's NFC and NFD), and old programs in different code pages.
type directory struct {
	exact map[string]bool
	forms map[string]string // from NFC to the name in the zip
}

func (a *archive) directory() directory {
	d := directory{map[string]bool{}, map[string]string{}}
	for _, e := range a.files {
		d.exact[e.name] = true
		d.forms[norm.NFC.String(e.name)] = e.name
		if e.other != "" {
			d.forms[norm.NFC.String(e.other)] = e.name
		}
	}
	return d
}

// find returns the file in the zip that is meant by name; exactly is false when it is written otherwise there.
func (d directory) find(name string) (found string, exactly bool) {
	if d.exact[name] {
		return name, true
	}
	if found, ok := d.forms[norm.NFC.String(name)]; ok {
		return found, false
	}
	return name, true
}

// isFolder reports whether a path can only name a folder.
func isFolder(value string) bool {
	last := value[strings.LastIndexByte(value, '/')+1:]
	return last == "" || last == "." || last == ".."
}

// streams are the names, in lower case, that SUMO reads as streams rather than files.
var streams = map[string]bool{"-": true, "stdout": true, "stderr": true, "nul": true}

// nearest guesses which of the names was meant by one that is not there, or returns "".
func nearest(missing string, names []string) string {
	rank := func(name string) int {
		switch {
		case strings.EqualFold(name, missing):
			return 0
		case strings.EqualFold(path.Base(name), path.Base(missing)):
			return 1
		case strings.EqualFold(strings.TrimSuffix(name, ".gz"), strings.TrimSuffix(missing, ".gz")):
			return 2
		}
		if d := distance(strings.ToLower(path.Base(name)), strings.ToLower(path.Base(missing)), 2); d <= 2 {
			return 2 + d
		}
		return 100
	}
	best, bestRank := "", 100
	for _, name := range names {
		if r := rank(name); r < bestRank {
			best, bestRank = name, r
		}
	}
	return best
}

// distance is how many letters must change to make a into b, or most+1 when that is more than most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most || len(a) > maxSegment {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
		if slices.Min(row) > most {
			return most + 1
		}
	}
	return min(row[len(b)], most+1)
}
