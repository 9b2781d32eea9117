package scenario

import (
	"bytes"
	stdxml "encoding/xml"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// Option is one option of a configuration, as SUMO understands it.
type Option struct {
	// Name is SUMO's own name, also where the configuration uses a synonym.
	Name string
	// Value is the option's value as text; empty when it names files.
	Value string
	// Files are the files that the option names, by path inside the scenario. Absolute paths are outside it: /dev/null, and files
	// that the caller adds.
	Files []string
	// Writes says that SUMO writes the files; otherwise it reads them.
	Writes bool
}

// Number returns the value as a number, or in seconds for an option that is a time; ok is false when it is neither.
func (o Option) Number() (n float64, ok bool) {
	if known := options()[o.Name]; known != nil && known.kind == "TIME" {
		return xml.Time(o.Value)
	}
	return xml.Float(o.Value)
}

// Encode returns, as XML, the configuration that SUMO reads instead of the uploaded one, so that SUMO cannot read it differently
// from us. locate returns the path of a file of the scenario, absolute or as Near has it; options for which leave returns true are
// omitted. The error names the option and the path that no configuration can express.
//
// The configuration must lie in the folder of the uploaded one, and SUMO must start in the scenario's top folder: names of outputs in
// other files (device.ssm.file, device.toc.file) are relative to these.
func (c Config) Encode(locate func(file string, writes bool) string, leave func(option string) bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("<configuration>\n")
	for _, o := range c.Options {
		if leave(o.Name) {
			continue
		}
		value := o.Value
		if len(o.Files) > 0 {
			names := make([]string, len(o.Files))
			for i, file := range o.Files {
				if inside := file; !path.IsAbs(file) {
					file = locate(inside, o.Writes)
					if strings.HasSuffix(inside, "/") && !strings.HasSuffix(file, "/") {
						file += "/"
					}
				}
				if fault := inexpressible(file, o.Writes); fault != "" {
					return nil, fmt.Errorf("the path %q cannot be given to SUMO as %s: it %s", file, o.Name, fault)
				}
				names[i] = file
			}
			if value = strings.Join(names, ","); decodesPercent(o.Name) {
				value = strings.ReplaceAll(value, "%", "%25")
			}
		}
		b.WriteString("<" + o.Name + ` value="`)
		_ = stdxml.EscapeText(&b, []byte(value)) // writes to a bytes.Buffer do not fail
		b.WriteString("\"/>\n")
	}
	b.WriteString("</configuration>\n")
	return b.Bytes(), nil
}

// Near returns how c names a file of the scenario that it reads, relative to its own folder; ok is false where SUMO may take that for
// something else, and needs the absolute path.
func (c Config) Near(file string) (name string, ok bool) {
	dir := path.Dir(c.Path)
	name = relative(dir, file)
	return name, Portable(dir) && Portable(name)
}

// Portable reports whether a relative path has only characters that stand for themselves to every version of SUMO.
func Portable(name string) bool { return portable.MatchString(name) && !streams[strings.ToLower(name)] }

var portable = regexp.MustCompile(`^[\pL\pN_.](?:[\pL\pN_./ -]*[\pL\pN_.-])?$`)

// Expressible reports whether a configuration can name files below folder, an absolute path.
func Expressible(folder string) bool { return inexpressible(folder, true) == "" }

// inexpressible says why no configuration can name a file by this path, as the end of a sentence, or "".
func inexpressible(file string, writes bool) string {
	switch {
	case !path.IsAbs(file) && (writes || !Portable(file)):
		return "is not absolute"
	case strings.Contains(file, ","):
		return "contains ',', which separates names"
	case writes && strings.Contains(file, ":"):
		return "contains ':', which makes it a network address"
	case strings.Contains(file, "${"):
		return "contains ${, which begins a variable"
	case strings.Contains(file, `\`):
		return `contains '\', which separates folders`
	case strings.TrimRight(file, blanks) != file:
		return "ends with a blank, which SUMO drops"
	case !isText(file):
		return "contains control characters"
	}
	return ""
}

// isText reports whether XML can hold text, on one line.
func isText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F || !xml.IsChar(r) })
}

// blanks are what SUMO drops around the names in a list.
const blanks = " \t\n\r"

// named is one file that the value of an option names.
type named struct {
	text   string // as the configuration has it
	placed        // name is devNull for none, and ends with '/' for a folder
}

// devNull is where SUMO writes unwanted outputs.
const devNull = "/dev/null"

// names returns the files that a value of o names, read as SUMO does, in a configuration in folder dir. u is o's use.
func (o *option) names(dir, value string, u use) []named {
	if u == writeHere {
		dir = ""
	}
	texts := []string{value}
	if o.kind == "FILE" && (!u.writes() || o.name == "save-state.files") {
		texts = strings.Split(value, ",")
	}
	list := make([]named, len(texts))
	for i, text := range texts {
		list[i] = o.named(dir, text, u, len(texts) > 1)
	}
	return list
}

func (o *option) named(dir, text string, u use, several bool) named {
	if o.kind == "FILE" {
		text = strings.Trim(text, blanks)
	}
	n := named{text: text}
	switch {
	case text == "" && several:
		n.fault = "names no file in a list, and SUMO looks for a file without a name: remove the extra comma"
		return n
	case text == "":
		n.fault = "names no file: name one, or remove the option"
		return n
	}
	plain := text
	if decodesPercent(o.name) {
		if plain, n.fault = decodePercent(text); n.fault != "" {
			return n
		}
	}
	n.placed = place(dir, plain, u, o.name+".xml")
	if u.writes() && n.fault == "" && o.name != "save-state.files" && strings.Contains(n.name, ",") {
		n.name, n.note = strings.TrimRight(strings.ReplaceAll(n.name, ",", "_"), "_"), "contains ',', which separates names"
	}
	switch {
	case n.fault != "":
	case plain != text && (n.name == "" || strings.Trim(plain, blanks) != plain):
		n.fault = "encodes a blank or a device with percent signs: write the name itself"
	case n.name == "":
		n.name = devNull
	case strings.HasSuffix(plain, "/") && u == mayRead: // a folder, to which SUMO may append names as it is written
		n.name += "/"
	case u != mayRead && isFolder(plain):
		n.fault = "names a folder: name a file"
	default:
		if fault := inexpressible("/"+n.name, u.writes()); fault != "" {
			n.fault = fault + ": choose another name"
		}
	}
	return n
}

// decodesPercent reports whether SUMO decodes percent signs in the names of an option. Those of type FILE it decodes when it
// loads the configuration, device.ssm.file when a vehicle departs.
func decodesPercent(option string) bool {
	o := options()[option]
	return o != nil && (o.kind == "FILE" || o.name == "device.ssm.file")
}

// decodePercent decodes %41 as SUMO does, which expects two digits. At the first percent sign without any it gives up, with a
// warning, and takes the whole name literally. After a single digit, a sign or a blank its behaviour is irregular, so that is refused.
func decodePercent(text string) (plain, fault string) {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			out = append(out, text[i])
			continue
		}
		if i+2 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		if next := text[i+1:]; next != "" && !strings.ContainsRune("0123456789abcdefABCDEF+-\t\n\v\f\r ", rune(next[0])) {
			return text, ""
		}
		return "", "contains '%' without two hexadecimal digits after it: write %25 for a percent sign"
	}
	if !isText(string(out)) {
		return "", "encodes control characters with percent signs: rename the file"
	}
	return string(out), ""
}

// affixes are options whose value becomes part of file names. They are not checked as paths, so they must not alter one: with a
// folder of the right name in the zip, '/../' would leave the scenario.
var affixes = map[string]bool{
	"output-suffix": true, "save-state.suffix": true,
	"scale-suffix": true, // of ids, after which SUMO names files
}

// outputAffixes are those that only outputs have: a variable in one changes no number.
var outputAffixes = map[string]bool{"output-prefix": true, "output-suffix": true, "save-state.suffix": true}

func affixFault(value string) string {
	if strings.ContainsAny(value, `/:\%`) || !isText(value) {
		return "becomes part of files' names and must not contain '/', ':', '%' or control characters: write a plain word"
	}
	return ""
}

// prefixFault is affixFault for the prefix, which may name folders.
func prefixFault(value string) string {
	if strings.ContainsAny(value, `:%`) || !isText(value) {
		return "becomes part of files' names and must not contain ':', '%' or control characters: write a plain word"
	}
	return ""
}
