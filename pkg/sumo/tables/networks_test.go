package tables_test

import (
	"archive/zip"
	"bytes"
	stdxml "encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
	"github.com/sumo-k8/sumo-k8/pkg/table"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// outputsOf runs the first seconds of a network with every output that becomes a table, and returns the files of each table.
func outputsOf(t *testing.T, sumo release.Installation, network string, seconds int) map[simulation.Table][]string {
	t.Helper()
	dir := t.TempDir()
	content, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	unzip(t, dir, content)
	at := func(name string) string { return filepath.Join(dir, "out", name) }
	if err := os.Mkdir(at(""), 0o755); err != nil {
		t.Fatal(err)
	}
	config := fileIn(t, dir, ".sumocfg")
	lane := laneOf(t, dir)
	additional := at("tables.add.xml")
	text := fmt.Sprintf(`<additional><edgeData id="all" file="edgedata.xml" freq="120"/>
		<inductionLoop id="loop" lane="%[1]s" pos="1" period="60" file="loop.xml"/>
		<laneAreaDetector id="area" lane="%[1]s" pos="0" endPos="-1" period="60" freq="60" file="area.xml"/>
		<entryExitDetector id="exits" period="60" freq="60" file="exits.xml">
			<detEntry lane="%[1]s" pos="0"/><detExit lane="%[1]s" pos="-1"/>
		</entryExitDetector>
		</additional>`, lane)
	if err := os.WriteFile(additional, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, own, ok := strings.Cut(string(settings), `<additional-files value="`); ok {
		own, _, _ = strings.Cut(own, `"`)
		for file := range strings.SplitSeq(own, ",") {
			additional += "," + filepath.Join(filepath.Dir(config), strings.TrimSpace(file))
		}
	}
	begin := 0
	if _, own, ok := strings.Cut(string(settings), `<begin value="`); ok {
		own, _, _ = strings.Cut(own, `"`)
		if begin, err = strconv.Atoi(own); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{
		"-c", config, "--additional-files", additional, "--no-step-log", "--no-warnings", "--duration-log.disable",
		"--end", strconv.Itoa(begin + seconds),
		"--device.emissions.probability", "0.5", "--tripinfo-output.write-unfinished",
	}
	files := map[simulation.Table][]string{"edgedata": {at("edgedata.xml")}, "detectors": {at("area.xml"), at("exits.xml"), at("loop.xml")}}
	for table, option := range map[simulation.Table]string{
		"summary": "summary", "tripinfo": "tripinfo", "fcd": "fcd", "emission": "emission", "queue": "queue", "lanechange": "lanechange",
		"stops": "stop",
	} {
		files[table] = []string{at(option + ".xml.gz")}
		args = append(args, "--"+option+"-output", files[table][0])
	}
	files["personinfo"] = files["tripinfo"]
	if out, err := sumotest.Command(t, sumo, "sumo", args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", network, err, out)
	}
	return files
}

func unzip(t testing.TB, dir string, content []byte) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err == nil {
		err = os.CopyFS(dir, archive)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fileIn is the first file below a folder with a part in its name.
func fileIn(t *testing.T, dir, part string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && found == "" && strings.Contains(filepath.Base(path), part) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("there is no file with %s in its name: %v", part, err)
	}
	return found
}

// laneOf is a lane of a scenario's network that vehicles use.
func laneOf(t *testing.T, dir string) (id string) {
	t.Helper()
	file, err := os.Open(fileIn(t, dir, ".net.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	elements(t, file, func(e stdxml.StartElement) {
		if e.Name.Local != "lane" || id != "" {
			return
		}
		lane := map[string]string{}
		for _, a := range e.Attr {
			lane[a.Name.Local] = a.Value
		}
		if !strings.HasPrefix(lane["id"], ":") && lane["allow"] != "pedestrian" {
			id = lane["id"]
		}
	})
	return id
}

// made makes a table as a file.
func made(t *testing.T, name simulation.Table, files []string) []byte {
	t.Helper()
	var sources []tables.Source
	for _, file := range files {
		sources = append(sources, tables.Source{Name: filepath.Base(file), Open: func() (io.ReadCloser, error) { return os.Open(file) }})
	}
	var out bytes.Buffer
	err := tables.Make(name, sources, 0, func(write func(io.Writer) error) error {
		out.Reset()
		return write(&out)
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out.Bytes()
}

// elements reads XML with the standard library.
func elements(t *testing.T, r io.Reader, visit func(stdxml.StartElement)) {
	t.Helper()
	plain, err := gz.Unpack(r)
	if err != nil {
		t.Fatal(err)
	}
	d := stdxml.NewDecoder(plain)
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(stdxml.StartElement); ok {
			visit(e)
		}
	}
}

// TestTablesHaveEveryValueOfTheOutputs counts the attributes of the elements that make rows, and adds up their numbers.
func TestTablesHaveEveryValueOfTheOutputs(t *testing.T) {
	t.Parallel()
	rows := map[simulation.Table][]string{
		"summary": {"step"}, "tripinfo": {"tripinfo"}, "edgedata": {"edge"}, "fcd": {"vehicle", "person"}, "emission": {"vehicle"},
		"queue": {"lane"}, "lanechange": {"change"}, "stops": {"stopinfo"}, "detectors": {"interval"},
	}
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for name, files := range outputsOf(t, sumo, "pedestrian_bus", 300) {
			if rows[name] == nil {
				continue
			}
			count, sum := map[string]int{}, map[string]float64{}
			for _, file := range files {
				in, err := os.Open(file)
				if err != nil {
					t.Fatal(err)
				}
				elements(t, in, func(e stdxml.StartElement) {
					if !slices.Contains(rows[name], e.Name.Local) {
						return
					}
					for _, a := range e.Attr {
						v, err := strconv.ParseFloat(a.Value, 64)
						if err == nil {
							sum[a.Name.Local] += v
						}
						if a.Value != "" && a.Value != "None" {
							count[a.Name.Local]++
						}
					}
				})
				in.Close()
			}
			content := made(t, name, files)
			file, err := table.Open(bytes.NewReader(content), int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			gotCount, gotSum := map[string]int{}, map[string]float64{}
			err = file.Scan(file.All(), func(row []parquet.Value) error {
				for i, v := range row {
					column := file.Schema.Columns[i].Name
					switch {
					case v.IsNull(), v.Kind() == parquet.ByteArray && len(v.ByteArray()) == 0:
						continue
					case v.Kind() == parquet.Double:
						gotSum[column] += v.Double()
					case v.Kind() == parquet.Int64:
						gotSum[column] += float64(v.Int64())
					case v.Kind() == parquet.Boolean && v.Boolean():
						gotSum[column]++
					}
					gotCount[column]++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(count) == 0 && name != "lanechange" {
				t.Errorf("%s: the outputs have no rows", name)
			}
			for attribute, n := range count {
				i := file.Schema.Index(attribute)
				if i < 0 || gotCount[attribute] != n {
					t.Errorf("%s: %d values of %s, want %d", name, gotCount[attribute], attribute, n)
					continue
				}
				if kind := file.Schema.Columns[i].Type; kind != table.String && gotSum[attribute] != sum[attribute] {
					t.Errorf("%s: the sum of %s is %g, want %g", name, attribute, gotSum[attribute], sum[attribute])
				}
				if c := file.Schema.Columns[i]; c.Description == "" {
					t.Errorf("%s: SUMO %s writes %s, which columns.csv does not describe", name, sumo.Version, attribute)
				}
			}
		}
	})
}

// readersVariable names a Python with pandas, pyarrow and DuckDB.
const readersVariable = "SUMO_K8_TABLE_READERS"

// TestTablesReadTheSameEverywhere compares each table of each network value by value with what sumolib reads.
func TestTablesReadTheSameEverywhere(t *testing.T) {
	t.Parallel()
	python := os.Getenv(readersVariable)
	if python == "" {
		t.Skip("make test-tables sets " + readersVariable)
	}
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		for _, network := range networks.Ready() {
			t.Run(network, func(t *testing.T) {
				dir := t.TempDir()
				for name, files := range outputsOf(t, sumo, network, 400) {
					content := made(t, name, files)
					list := []byte(strings.Join(files, "\n"))
					for file, text := range map[string][]byte{string(name) + ".parquet": content, string(name) + ".txt": list} {
						if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
							t.Fatal(err)
						}
					}
				}
				compare := exec.CommandContext(t.Context(), python, "testdata/compare.py", dir)
				compare.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(sumo.Home, "tools"), "SUMO_HOME="+sumo.Home)
				out, err := compare.CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				t.Logf("\n%s", out)
			})
		}
	})
}
