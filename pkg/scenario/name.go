package scenario

import (
	"path"
	"strings"
	"unicode"
)

// maxNameLength is as much of a name as fits on a line of a list, in bytes.
const maxNameLength = 200

// NameOf derives a scenario's name from a file's path.
func NameOf(file string) string {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	if strings.EqualFold(path.Ext(name), ".zip") {
		name = name[:len(name)-len(".zip")]
	}
	if name == "." || name == "/" {
		return ""
	}
	return PrintableName(name)
}

// PrintableName is name without what could confuse a terminal or break a list, and shortened where it is too long.
func PrintableName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if len(name) > maxNameLength {
		name = strings.ToValidUTF8(name[:maxNameLength], "")
	}
	return name
}
