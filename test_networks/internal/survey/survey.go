// Package survey runs the scenarios in ready_to_use with SUMO and measures them: the table in test_networks/README.md.
package survey

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// Row is what one configuration of a scenario contains, and how its simulation ended.
type Row struct {
	Scenario, Config          string
	Edges, Junctions, Signals int     // of the network, without those inside junctions
	Vehicles, Persons         int     // inserted
	Unfinished                int     // vehicles and persons that did not arrive, or could not start
	Speed                     float64 // mean over all trips, m/s
	Simulated                 time.Duration
	Wall                      time.Duration
}

// Header is the head of the table that Row.String makes the lines of.
const Header = `| Scenario | Configuration | Edges | Junctions | Signals | Vehicles | Persons | Simulated (s) | Wall (s) |
|---|---|--:|--:|--:|--:|--:|--:|--:|`

// Facts is the row as a line of the table, without the last cell, which differs from run to run.
func (r Row) Facts() string {
	return fmt.Sprintf("| %s | `%s` | %d | %d | %d | %d | %d | %.0f |",
		r.Scenario, r.Config, r.Edges, r.Junctions, r.Signals, r.Vehicles, r.Persons, r.Simulated.Seconds())
}

// String is the row as a line of the table.
func (r Row) String() string { return fmt.Sprintf("%s %.2f |", r.Facts(), r.Wall.Seconds()) }

// Run unpacks the scenario in zipFile into dir, which must be empty, and has sumo run each of its configurations to the end.
func Run(ctx context.Context, sumo release.Installation, zipFile, dir string) ([]Row, error) {
	configs, err := unpack(zipFile, dir)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", zipFile, err)
	}
	var rows []Row
	for _, config := range configs {
		row := Row{Scenario: strings.TrimSuffix(filepath.Base(zipFile), ".zip"), Config: config}
		if err := row.simulate(ctx, sumo, filepath.Join(dir, filepath.FromSlash(config))); err != nil {
			return nil, fmt.Errorf("run %s of %s: %w", config, zipFile, err)
		}
		if err := row.countNetwork(filepath.Join(dir, filepath.FromSlash(config))); err != nil {
			return nil, fmt.Errorf("read the network of %s in %s: %w", config, zipFile, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Update has sumo run every zip in folder and writes the table into the file readme, between the lines that mark its place.
func Update(ctx context.Context, sumo release.Installation, folder, readme string) error {
	zips, err := filepath.Glob(filepath.Join(folder, "*.zip"))
	if err != nil {
		return err
	}
	table := []string{"Run by SUMO " + sumo.Version + ":", "", Header}
	for _, name := range zips {
		dir, err := os.MkdirTemp("", "survey")
		if err != nil {
			return err
		}
		rows, err := Run(ctx, sumo, name, dir)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return err
		}
		for _, row := range rows {
			table = append(table, row.String())
		}
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	const begin, end = "<!-- survey -->\n", "<!-- end of survey -->"
	head, rest, ok1 := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has lost the lines %q and %q, between which the table belongs", readme, begin, end)
	}
	return os.WriteFile(readme, []byte(head+begin+strings.Join(table, "\n")+"\n"+end+tail), 0o644)
}

// unpack writes the files of an archive that we built ourselves, and returns its configurations. Uploads must
// not be read like this: they are not trusted.
func unpack(zipFile, dir string) (configs []string, err error) {
	r, err := zip.OpenReader(zipFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if err := os.CopyFS(dir, r); err != nil {
		return nil, err
	}
	for _, f := range r.File {
		if path.Ext(f.Name) == ".sumocfg" {
			configs = append(configs, f.Name)
		}
	}
	return configs, nil
}

var (
	started = regexp.MustCompile(`started with time: (\d+\.\d+)`)
	ended   = regexp.MustCompile(`ended at time: (\d+\.\d+)`)
)

func (r *Row) simulate(ctx context.Context, sumo release.Installation, config string) error {
	// Beside the configuration, so that it is removed with it.
	statistics := config + ".statistics.xml"
	cmd := exec.CommandContext(ctx, sumo.Binary, "-c", config, "-X", "never", "--no-step-log", "--duration-log.statistics",
		"--statistic-output", statistics)
	cmd.Env = append(os.Environ(), "SUMO_HOME="+sumo.Home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sumo: %w: %s", err, stderr.Bytes())
	}
	r.Wall = time.Since(begin)

	from, err1 := seconds(started, stdout.Bytes())
	to, err2 := seconds(ended, stdout.Bytes())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r.Simulated = to - from

	data, err := os.ReadFile(statistics)
	if err != nil {
		return err
	}
	var s struct {
		Vehicles struct {
			Loaded   int `xml:"loaded,attr"`
			Inserted int `xml:"inserted,attr"`
			Running  int `xml:"running,attr"`
		} `xml:"vehicles"`
		Persons struct {
			Loaded  int `xml:"loaded,attr"`
			Running int `xml:"running,attr"`
		} `xml:"persons"`
		Trips struct {
			Speed float64 `xml:"speed,attr"`
		} `xml:"vehicleTripStatistics"`
	}
	if err := xml.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read SUMO's statistics: %w", err)
	}
	r.Vehicles, r.Persons, r.Speed = s.Vehicles.Inserted, s.Persons.Loaded, s.Trips.Speed
	r.Unfinished = s.Vehicles.Loaded - s.Vehicles.Inserted + s.Vehicles.Running + s.Persons.Running
	return nil
}

func seconds(re *regexp.Regexp, log []byte) (time.Duration, error) {
	match := re.FindSubmatch(log)
	if match == nil {
		return 0, fmt.Errorf("sumo's log has nothing that matches %q", re)
	}
	s, err := strconv.ParseFloat(string(match[1]), 64)
	return time.Duration(s * float64(time.Second)), err
}

func (r *Row) countNetwork(config string) error {
	var net string
	err := eachElement(config, func(e xml.StartElement) {
		// The second name is the one-letter form of the first.
		if e.Name.Local == "net-file" || e.Name.Local == "n" {
			net = e.Attr[0].Value
		}
	})
	if err != nil {
		return err
	}
	signals := map[string]bool{}
	err = eachElement(filepath.Join(filepath.Dir(config), filepath.FromSlash(net)), func(e xml.StartElement) {
		attr := map[string]string{}
		for _, a := range e.Attr {
			attr[a.Name.Local] = a.Value
		}
		switch {
		case e.Name.Local == "edge" && attr["function"] == "":
			r.Edges++
		case e.Name.Local == "junction" && attr["type"] != "internal":
			r.Junctions++
		case e.Name.Local == "tlLogic":
			signals[attr["id"]] = true
		}
	})
	r.Signals = len(signals)
	return err
}

// eachElement calls visit with every element of an XML file, which may be packed with gzip.
func eachElement(name string, visit func(xml.StartElement)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if path.Ext(name) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	decoder := xml.NewDecoder(r)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok {
			visit(e)
		}
	}
}
