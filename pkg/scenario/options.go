package scenario

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

//go:generate ./options.sh

// Each file lists the options of one version of SUMO, as that version itself does.
//
//go:embed options/*.txt
var optionFiles embed.FS

// option is one option of SUMO.
type option struct {
	name  string // as SUMO lists it; synonyms lead here
	kind  string // BOOL, INT, FLOAT, TIME, STR, STR[] or FILE
	topic string // under which the newest version that has it lists it
	since string // the first version known to have it
	// before is the first version that no longer has it; empty while the newest does.
	before string
}

// options maps names and synonyms to options; knownVersions lists the versions they were taken from, oldest first.
var options, knownVersions = func() (func() map[string]*option, func() []string) {
	load := sync.OnceValues(loadOptions)
	return func() map[string]*option { o, _ := load(); return o }, func() []string { _, v := load(); return v }
}()

func newestVersion() string {
	versions := knownVersions()
	return versions[len(versions)-1]
}

func loadOptions() (map[string]*option, []string) {
	files, err := optionFiles.ReadDir("options")
	if err != nil {
		panic(err) // embedded: it cannot fail at run time
	}
	var versions []string
	for _, f := range files {
		versions = append(versions, strings.TrimSuffix(f.Name(), ".txt"))
	}
	slices.SortFunc(versions, release.Compare)
	all := map[string]*option{}
	for i, version := range versions {
		has := map[*option]bool{}
		text, err := optionFiles.ReadFile(path.Join("options", version+".txt"))
		if err != nil {
			panic(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			o := all[fields[0]]
			if o == nil {
				o = &option{name: fields[0], kind: fields[1], since: version}
			}
			o.topic = fields[2]
			for _, name := range append(fields[3:], fields[0]) {
				if all[name] == nil {
					all[name] = o
				}
				has[all[name]] = true
			}
		}
		if i == 0 {
			continue
		}
		for _, o := range all {
			if !has[o] && o.before == "" {
				o.before = version
			}
		}
	}
	return all, versions
}

// nearestOption guesses which option was meant by a name that none has, or returns "".
func nearestOption(name string) string {
	var names []string
	for candidate := range options() {
		if len(candidate) > 3 {
			names = append(names, candidate)
		}
	}
	slices.Sort(names)
	return nearest(name, names)
}

// needs are what an option that is set at location needs of SUMO's version.
func (o *option) needs(location string) (needs []Need) {
	item := func(format string, args ...any) problem.Item {
		return problem.Item{Location: location, Message: fmt.Sprintf(format, args...)}
	}
	if o.since != knownVersions()[0] {
		needs = append(needs, Need{Since: o.since, Problem: item("the option %s came with SUMO %s: remove it, or choose that version "+
			"or a newer one", o.name, o.since)})
	}
	if o.before != "" {
		needs = append(needs, Need{Before: o.before, Problem: item("SUMO %s and later no longer have the option %s: remove it, or "+
			"choose an older version", o.before, o.name)})
	}
	return needs
}

// forbidden are options that no scenario may set, each with the reason.
var forbidden = map[string]string{
	"save-configuration":        "SUMO would write a configuration and not simulate",
	"save-template":             "SUMO would write a template and not simulate",
	"save-schema":               "SUMO would write a schema and not simulate",
	"help":                      "SUMO would print its help and not simulate",
	"version":                   "SUMO would print its version and not simulate",
	"pedestrian.remote.address": "it would connect to another computer, and none can be reached here",
}

// replaced are options whose value no run takes over, each with the reason, which is empty where nobody expects anything else. None
// changes a number.
var replaced = map[string]string{
	"remote-port":        "only the controller of a job can connect, so a run without one does not wait",
	"num-clients":        "only the controller of a job can connect, so a run without one does not wait",
	"configuration-file": "SUMO reads no configuration within another",
	"save-commented":     "it only serves to write a configuration",
	"print-options":      "the job shows its options",
	"gui-settings-file":  "",
	"edgedata-files":     "",
	"selection-file":     "",
	// SUMO would load a message catalogue from the folder of that name.
	"language": "how a run ended is read from SUMO's log, which is kept in English",
}

// optionUses are the options that name files which SUMO reads, and those of type STR that name files at all. All other
// options of type FILE write.
var optionUses = map[string]use{
	"net-file":                           readXML,
	"alternative-net-file":               readXML,
	"route-files":                        readXML,
	"additional-files":                   readXML,
	"weight-files":                       readXML,
	"load-state":                         readXML,
	"fcd-output.filter-edges.input-file": readLate,
	"device.ssm.filter-edges.input-file": readLate,
	"astar.all-distances":                readLate,
	"astar.landmark-distances":           readLate,
	"device.fcd-replay.file":             readXML, // 1.20 to 1.26
	"device.fcd-replay.files":            readXML, // since 1.28, which knows the older name too
	"phemlight-path":                     mayRead,
	"device.ssm.file":                    writeByConfig,
	"device.toc.file":                    writeHere,
}

// neededBy are the options that need the file of another one, which is readLate. A device or a router needs the others' files, if the
// run has one.
var neededBy = map[string]string{"fcd-output.filter-edges.input-file": "fcd-output"}

// use is what SUMO does with the files that o names; ok is false when it names none.
func (o *option) use() (u use, ok bool) {
	if u, ok := optionUses[o.name]; ok {
		return u, true
	}
	return write, o.kind == "FILE"
}

// remotePedestrians is why a model of pedestrians is refused.
const remotePedestrians = "the pedestrian model 'remote' connects to another computer, and none can be reached here: choose another model"

// valueFault says why a value must not reach SUMO, or "".
func (o *option) valueFault(value string) string {
	names, ok := o.use()
	switch {
	case ok && names.writes(): // see place
	case strings.Contains(value, "${"):
		return "contains a variable (${…}), which SUMO would replace: write the value itself"
	case strings.HasPrefix(strings.TrimLeft(value, blanks), "~"), strings.Contains(value, ",~"):
		return "begins with '~', which SUMO would replace with a home folder: write the value itself"
	case o.name == "output-prefix":
		return prefixFault(value)
	case affixes[o.name]:
		return affixFault(value)
	}
	return ""
}

// typeFault says why SUMO rejects a value, or "".
func (o *option) typeFault(value string) string {
	if strings.Contains(value, "${") {
		return "" // see valueFault
	}
	switch o.kind {
	case "BOOL":
		if !isTrue(value) && !slices.Contains([]string{"0", "no", "false", "off", "-", "f"}, strings.ToLower(value)) {
			return "is not true or false"
		}
	case "INT":
		if _, ok := xml.Int(value, 32); !ok {
			return "is not a whole number"
		}
	case "FLOAT":
		if _, ok := xml.Float(value); !ok {
			return "is not a number (use a decimal point, not a comma)"
		}
	case "TIME":
		if _, ok := xml.Time(value); !ok {
			return "is not a time (seconds, or hours:minutes:seconds)"
		}
	}
	return ""
}

// isTrue reports whether SUMO reads a value as true.
func isTrue(value string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on", "x", "t"}, strings.ToLower(value))
}

// KnownOption is what is known about one of SUMO's options.
type KnownOption struct {
	Name string // SUMO's own, also for a synonym or a letter
	Flag bool   // may stand without a value
	File bool   // names files
	GUI  bool   // only the graphical program has it
}

// LookUpOption finds an option of any version of SUMO by its name, a synonym or its letter.
func LookUpOption(name string) (known KnownOption, ok bool) {
	o := options()[name]
	if o == nil {
		return KnownOption{}, false
	}
	return KnownOption{Name: o.name, Flag: o.kind == "BOOL", File: o.kind == "FILE", GUI: o.topic == "gui_only"}, true
}
