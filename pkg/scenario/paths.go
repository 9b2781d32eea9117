package scenario

import (
	"path"
	"slices"
	"strings"
	"unicode"
)

// place returns the path inside the scenario of the file that is named value in folder dir, or why it has none. Both are
// empty when SUMO would use no file at all.
func place(dir, value string, u use) (name, fault string) {
	writes := u.writes()
	switch {
	case value == "":
		return "", ""
	case writes && (value == devNull || value == "nul" || value == "NUL"):
		return "", ""
	case u == mayRead && value == devNull:
		return "", ""
	case writes && (streams[strings.ToLower(value)] || strings.HasPrefix(value, "/dev/")):
		return "", "is not a file: name a file in the scenario's folder, or /dev/null to write nothing"
	case streams[strings.ToLower(value)]:
		return "", "is SUMO's name for a stream, not a file: rename the file"
	case strings.Contains(value, "://"):
		return "", "is a URL, and there is no network here: put the file into the zip and name it"
	case strings.ContainsFunc(value, unicode.IsControl):
		return "", "contains control characters: rename the file"
	case strings.Contains(value, "${"):
		return "", "contains a variable (${…}), which SUMO would replace: write the name itself"
	case strings.HasPrefix(value, "~"):
		return "", "is in a home folder, and there is none here: put the file into the zip and name it relative to this file"
	case strings.HasPrefix(value, "/"), strings.HasPrefix(value, `\`), driveLetter.MatchString(value):
		return "", "is an absolute path: name the file relative to the folder of this file"
	case strings.Contains(value, `\`):
		return "", `contains '\': write '/' between folders`
	case writes && strings.Contains(value, ":"):
		return "", "is a network address (host:port), and there is no network here: name a file"
	case strings.Contains(value, ":"):
		return "", "contains ':', so SUMO reads it as a network address: rename the file"
	case strings.Contains(value, "%") && u == writeSafety:
		return "", "contains '%', which versions of SUMO read differently: choose another name"
	case writes && isFolder(value):
		return "", "names a folder: name a file"
	case len(value) > maxPathValue:
		return "", "is too long"
	}
	name = path.Join(dir, value)
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", "is outside the scenario: put the file into the zip and name it from there"
	}
	return name, ""
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
