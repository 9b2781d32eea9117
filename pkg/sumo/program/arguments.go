package program

import (
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

// argument is one option as a program gives it to SUMO.
type argument struct {
	option scenario.KnownOption // its Name is as given where no SUMO knows it
	value  string
	raw    []string // as it was given; empty for one of several letters behind one dash
	append bool     // adds to the configuration's value: "+a more.add.xml"
}

// text is the argument as SUMO gets it.
func (a argument) text() []string {
	if len(a.raw) > 0 {
		return a.raw
	}
	if a.append {
		return []string{"+-" + a.option.Name + "=" + a.value}
	}
	return []string{"--" + a.option.Name + "=" + a.value}
}

// is reports whether the argument sets an option.
func (a argument) is(name string) bool { return a.option.Name == name }

// readArguments reads arguments as SUMO's OptionsParser does. What that refuses stays as it is, for SUMO to complain of.
func readArguments(args []string) []argument {
	if len(args) == 1 && args[0] != "" && !strings.HasPrefix(args[0], "-") { // a single file says what it is by its content
		name := configurationFile
		if plain := strings.TrimSuffix(args[0], ".gz"); strings.HasSuffix(plain, ".net.xml") {
			name = "net-file"
		}
		return []argument{{option: known(name), value: args[0]}}
	}
	var read []argument
	for len(args) > 0 {
		first, next := args[0], (*string)(nil)
		if len(args) > 1 {
			next = &args[1]
		}
		var found []argument
		used := 1
		switch {
		case len(first) < 2 || first[0] != '-' && first[0] != '+':
			found = []argument{{option: scenario.KnownOption{Name: first}, raw: args[:1]}}
		case first[1] == '-':
			found, used = readLong(first, next)
		default:
			found, used = readLetters(first, next)
		}
		for i := range found {
			found[i].append = first != "" && first[0] == '+'
			if len(found) == 1 {
				found[i].raw = args[:used]
			}
		}
		read = append(read, found...)
		args = args[used:]
	}
	return read
}

func known(name string) scenario.KnownOption {
	if o, ok := scenario.LookUpOption(name); ok {
		return o
	}
	return scenario.KnownOption{Name: name}
}

// readLong reads --name=value, --name value and, of a flag, --name.
func readLong(first string, next *string) (found []argument, used int) {
	name, value, ok := strings.Cut(first[2:], "=")
	o := known(name)
	switch {
	case ok:
		return []argument{{option: o, value: value}}, 1
	case next == nil || o.Flag && strings.HasPrefix(*next, "-"):
		return []argument{{option: o, value: "true"}}, 1
	}
	return []argument{{option: o, value: *next}}, 2
}

// readLetters reads -n value, -nvalue, -n=value, and flags, several of which may share a dash.
func readLetters(first string, next *string) (found []argument, used int) {
	for i := 1; i < len(first); i++ {
		o, rest := known(first[i:i+1]), first[i+1:]
		switch {
		case o.Flag && (next == nil || strings.HasPrefix(*next, "-") || rest != ""):
			found = append(found, argument{option: o, value: "true"})
			continue
		case !o.Flag && (next == nil || rest != ""):
			return append(found, argument{option: o, value: strings.TrimPrefix(rest, "=")}), 1
		}
		return append(found, argument{option: o, value: *next}), 2
	}
	return found, 1
}
