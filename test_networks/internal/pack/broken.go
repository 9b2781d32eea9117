package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf16"
)

// brokenArchives are uploads that must be refused, each made from the good scenario square with one thing wrong.
// broken/expected.json holds the answer to each.
var brokenArchives = []struct {
	file  string
	build func(square []file) []byte
}{
	// Mistakes.
	{"missing_net.zip", func(square []file) []byte {
		return pack(edit(square, config, `"square.net.xml"`, `"sqaure.net.xml"`))
	}},
	{"bad_xml.zip", func(square []file) []byte {
		return pack(edit(square, routes, `depart="5.00"`, `depart=5.00`))
	}},
	{"no_config.zip", func(square []file) []byte {
		return pack(slices.DeleteFunc(slices.Clone(square), func(f file) bool { return f.name == config }))
	}},
	{"html_as_xml.zip", func(square []file) []byte {
		return pack(replace(square, net, "<!doctype html>\n<html lang=\"en\">\n<head><title>Sign in</title></head>\n"+
			"<body><p>Your session has expired.<br>Please sign in to download square.net.xml.</p></body>\n</html>\n"))
	}},
	{"unknown_option.zip", func(square []file) []byte {
		return pack(configure(square, `<output.fromat value="parquet"/>`))
	}},
	{"several_faults.zip", func(square []file) []byte {
		faulty := edit(square, config, `"square.net.xml"`, `"sqaure.net.xml"`)
		faulty = edit(faulty, routes, `depart="5.00"`, `depart=5.00`)
		return pack(configure(faulty, `<output.fromat value="parquet"/>`))
	}},
	{"not_a_zip.zip", func([]file) []byte { return []byte("This is a text file that somebody called .zip.\n") }},
	{"truncated.zip", func(square []file) []byte {
		// Stored, so that the place of the cut does not depend on the compressor.
		whole := slices.Clone(square)
		for i := range whole {
			whole[i].stored = true
		}
		packed := pack(whole)
		return packed[:len(packed)/2]
	}},

	// Archives that are attacks.
	{"path_traversal.zip", func(square []file) []byte {
		return pack(append(slices.Clone(square), file{name: "../evil.xml", data: []byte("<additional/>\n")}))
	}},
	{"symlink.zip", func(square []file) []byte {
		linked := replace(square, net, "/etc/passwd")
		for i := range linked {
			if linked[i].name == net {
				linked[i].mode = fs.ModeSymlink | 0o777
			}
		}
		return pack(linked)
	}},
	{"zip_bomb.zip", func(square []file) []byte {
		const size = 128 << 20 // packs to an eighth of a megabyte, a thousandth
		bomb := "<additional>" + strings.Repeat(" ", size) + "</additional>\n"
		return pack(append(additional(square, "bomb.add.xml"), file{name: "bomb.add.xml", data: []byte(bomb)}))
	}},
	{"overlapping_entries.zip", func(square []file) []byte {
		return overlap(pack([]file{{name: "copy000.xml", data: []byte(text(square, net)), stored: true}}), 500)
	}},

	// XML that is an attack.
	{"entity_bomb.zip", func(square []file) []byte {
		return pack(edit(square, config, "<configuration>", entityBomb("configuration")+"<configuration>&i;"))
	}},
	{"external_entity.zip", func(square []file) []byte {
		return pack(readPasswd(square))
	}},
	{"doctype_in_gz.zip", func(square []file) []byte {
		hidden := readPasswd(square)
		for i := range hidden {
			if hidden[i].name == routes {
				hidden[i] = file{name: routes + ".gz", data: gzipped(hidden[i].data)}
			}
		}
		return pack(edit(hidden, config, `"`+routes+`"`, `"`+routes+`.gz"`))
	}},
	{"utf16_doctype.zip", func(square []file) []byte {
		hidden := readPasswd(square)
		hidden = edit(hidden, routes, `encoding="UTF-8"`, `encoding="UTF-16"`)
		return pack(replace(hidden, routes, utf16LE(text(hidden, routes))))
	}},

	// Configurations that reach out of the scenario.
	{"socket_output.zip", func(square []file) []byte {
		return pack(configure(square, `<fcd-output value="localhost:9999"/>`))
	}},
}

// The files of the scenario square.
const (
	config = "square.sumocfg"
	net    = "square.net.xml"
	routes = "square.rou.xml"
)

// entityBomb declares nine entities of ten times the one before: a gigabyte out of one line.
func entityBomb(root string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE %s [<!ENTITY a \"          \">", root)
	for name := 'b'; name <= 'i'; name++ {
		fmt.Fprintf(&b, "<!ENTITY %c \"%s\">", name, strings.Repeat(fmt.Sprintf("&%c;", name-1), 10))
	}
	b.WriteString("]>\n")
	return b.String()
}

// readPasswd makes the routes include a file of the machine, which SUMO's error messages would then quote.
func readPasswd(files []file) []file {
	files = edit(files, routes, "<routes", "<!DOCTYPE routes [<!ENTITY passwd SYSTEM \"file:///etc/passwd\">]>\n<routes")
	return edit(files, routes, "<vehicle", "&passwd;<vehicle")
}

// overlap returns the one-entry archive packed with its entry listed n times, under other names: n times the content
// for the price of a directory line.
func overlap(packed []byte, n int) []byte {
	const endSize = 22    // of the end record, which has no comment here
	const nameOffset = 46 // of the name in a directory record
	end := packed[len(packed)-endSize:]
	start := binary.LittleEndian.Uint32(end[16:])
	record := packed[start : len(packed)-endSize]

	out := bytes.NewBuffer(slices.Clone(packed[:start]))
	for i := range n {
		r := slices.Clone(record)
		copy(r[nameOffset:], fmt.Sprintf("copy%03d.xml", i))
		out.Write(r)
	}
	end = slices.Clone(end)
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(out.Len())-start)
	out.Write(end)
	return out.Bytes()
}

// configure adds an option to the configuration, before its end.
func configure(files []file, option string) []file {
	return edit(files, config, "</configuration>", "    "+option+"\n</configuration>")
}

// additional makes the configuration read one additional file.
func additional(files []file, name string) []file {
	return edit(files, config, "    </input>", fmt.Sprintf("        <additional-files value=%q/>\n    </input>", name))
}

// edit returns files with the first old in one of them replaced.
func edit(files []file, name, old, replacement string) []file {
	before := text(files, name)
	if !strings.Contains(before, old) {
		panic(fmt.Sprintf("%s does not contain %q: the broken scenario made from it would be a good one", name, old))
	}
	return replace(files, name, strings.Replace(before, old, replacement, 1))
}

// replace returns files with other content in one of them.
func replace(files []file, name, content string) []file {
	files = slices.Clone(files)
	files[find(files, name)].data = []byte(content)
	return files
}

func text(files []file, name string) string { return string(files[find(files, name)].data) }

func find(files []file, name string) int {
	i := slices.IndexFunc(files, func(f file) bool { return f.name == name })
	if i < 0 {
		panic("the scenario square has no " + name)
	}
	return i
}

// utf16LE encodes s as Windows programs do: little-endian, with a byte order mark.
func utf16LE(s string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}
