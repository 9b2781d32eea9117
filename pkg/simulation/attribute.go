package simulation

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Attribute changes an attribute of all elements that match, in one file of a scenario.
type Attribute struct {
	File    string `json:"file"`    // its path inside the scenario; may be compressed with gzip
	Element string `json:"element"` // the name of the elements
	// Key and Equals select the elements whose attribute Key has the value Equals; all of that name if Key is empty.
	Key    string `json:"key,omitempty"`
	Equals string `json:"equals,omitempty"`
	Name   string `json:"name"`  // of the attribute that is changed
	Value  string `json:"value"` // what it becomes
}

// MaxAttributeText bounds what names an attribute, and each of its values, in bytes.
const MaxAttributeText = 4096

// attributeForm shows how to name an attribute.
const attributeForm = `FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE, such as vtypes.add.xml#vType[@id='car']/@sigma`

// ParseAttribute reads FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE, where the part in brackets may be missing. The result has no value yet. It
// answers problem.Invalid.
func ParseAttribute(text string) (Attribute, error) {
	fault := func(format string, args ...any) (Attribute, error) {
		return Attribute{}, problem.New(problem.Invalid, format+": write "+attributeForm+".", args...)
	}
	if len(text) > MaxAttributeText {
		return fault("The name of the attribute is longer than %d bytes", MaxAttributeText)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fault("%q contains control characters, or is not UTF-8", text)
	}
	file, rest, ok := strings.Cut(text, "#")
	switch {
	case !ok:
		return fault("In %q, '#' is missing behind the name of the file", text)
	case strings.TrimSpace(file) == "":
		return fault("In %q, the name of the file is missing before '#'", text)
	case path.IsAbs(file), !within(file):
		return fault("In %q, %q leads outside the scenario: give the path of a file inside it", text, file)
	}
	a := Attribute{File: path.Clean(file)}
	if a.Element, rest = xmlName(rest); a.Element == "" {
		return fault("In %q, the name of an element is missing behind '#'", text)
	}
	if inside, ok := strings.CutPrefix(rest, "["); ok {
		inside, ok = strings.CutPrefix(strings.TrimLeft(inside, " "), "@")
		if a.Key, inside = xmlName(inside); !ok || a.Key == "" {
			return fault("In %q, '[' is not followed by @ and the name of an attribute", text)
		}
		inside, ok = strings.CutPrefix(strings.TrimLeft(inside, " "), "=")
		inside = strings.TrimLeft(inside, " ")
		if !ok || inside == "" || inside[0] != '\'' && inside[0] != '"' {
			return fault("In %q, @%s is not followed by = and a value in quotes", text, a.Key)
		}
		if a.Equals, inside, ok = strings.Cut(inside[1:], inside[:1]); !ok {
			return fault("In %q, the closing quote behind the value of @%s is missing", text, a.Key)
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(inside, " "), "]"); !ok {
			return fault("In %q, ']' is missing behind the value of @%s; one condition is possible", text, a.Key)
		}
	}
	rest, ok = strings.CutPrefix(rest, "/@")
	if a.Name, rest = xmlName(rest); !ok || a.Name == "" || rest != "" {
		return fault("In %q, <%s> is not followed by /@ and the name of one attribute", text, a.Element)
	}
	return a, nil
}

// String is the attribute as ParseAttribute reads it.
func (a Attribute) String() string {
	text := a.File + "#" + a.Element
	if a.Key != "" {
		quote := "'"
		if strings.Contains(a.Equals, quote) {
			quote = `"`
		}
		text += "[@" + a.Key + "=" + quote + a.Equals + quote + "]"
	}
	return text + "/@" + a.Name
}

// within reports whether a relative path stays in its folder.
func within(file string) bool {
	clean := path.Clean(file)
	return clean != "." && clean != ".." && !strings.HasPrefix(clean, "../")
}

// xmlName cuts the name of an element or attribute from the beginning of text.
func xmlName(text string) (name, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool {
		return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:", r)
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}
