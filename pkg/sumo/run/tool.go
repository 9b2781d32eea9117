package run

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// toolPlaces are where SUMO keeps its tools, by path in its folder; the same since 1.18.
var toolPlaces = map[string]string{
	"duaIterate": "tools/assign/duaIterate.py", "routeSampler": "tools/routeSampler.py", "randomTrips": "tools/randomTrips.py",
	"cutRoutes": "tools/route/cutRoutes.py", "tlsCycleAdaptation": "tools/tlsCycleAdaptation.py", "tlsCoordinator": "tools/tlsCoordinator.py",
	"marouter": "bin/marouter", "netconvert": "bin/netconvert", "od2trips": "bin/od2trips",
}

func toolFile(home, name string) (string, error) {
	file := filepath.Join(home, filepath.FromSlash(toolPlaces[name]))
	if info, err := os.Stat(file); toolPlaces[name] == "" || err != nil || !info.Mode().IsRegular() {
		return "", problem.New(problem.ScenarioInvalid, "This version of SUMO has no tool %s.", name)
	}
	return file, nil
}

// duaIterate is the tool that assigns in iterations: defaultIterations of them, unless it is asked for another number.
const (
	duaIterate        = "duaIterate"
	defaultIterations = 50
)

// iterationsOf is how many iterations a tool is asked for; 0 for one that has none.
func iterationsOf(tool string, args []string) int {
	if tool != duaIterate {
		return 0
	}
	for i, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		if rest, short := strings.CutPrefix(a, "-l"); short && rest != "" {
			name, value = "-l", rest
		}
		if name != "-l" && name != "--last-step" {
			continue
		}
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			return n
		}
	}
	return defaultIterations
}

// writeConvergence leaves how an assignment came closer to its equilibrium.
func (r Run) writeConvergence() error {
	c := r.convergence()
	if len(c.Iterations) == 0 {
		return nil
	}
	return writeJSON(filepath.Join(r.Out, simulation.ConvergenceFile), c)
}

// maxIterations bounds what is read of an assignment.
const maxIterations = 10_000

// convergence reads the mean travel time of each iteration of duaIterate from its trips: those that ended within the simulation.
func (r Run) convergence() simulation.Convergence {
	c := simulation.Convergence{Tool: duaIterate}
	for n := range maxIterations {
		mean, ok := r.iterationMean(n)
		if !ok {
			if len(c.Iterations) > 0 {
				break
			}
			continue // it may begin with a later one
		}
		i := simulation.Iteration{Number: n, MeanTravelTime: mean}
		if k := len(c.Iterations); k > 0 && c.Iterations[k-1].MeanTravelTime > 0 {
			before := c.Iterations[k-1].MeanTravelTime
			change := (mean - before) / before
			i.RelativeChange = &change
		}
		c.Iterations = append(c.Iterations, i)
	}
	return c
}

// iterationMean is the mean duration of the trips of an iteration, whose tripinfo is among the results.
func (r Run) iterationMean(n int) (mean float64, ok bool) {
	for _, suffix := range []string{".xml", ".xml.gz"} {
		name := fmt.Sprintf("%03d/tripinfo_%03d%s", n, n, suffix)
		sum, trips := 0.0, 0.0
		err := scanOutput(r.Out, name, func(e xml.Element) error {
			if string(e.Name) != "tripinfo" {
				return nil
			}
			if arrival, known := e.Number("arrival"); known && arrival < 0 {
				return nil // it has not ended
			}
			if d, known := e.Number("duration"); known {
				sum, trips = sum+d, trips+1
			}
			return nil
		})
		if err == nil && trips > 0 && !math.IsInf(sum, 0) {
			return sum / trips, true
		}
	}
	return 0, false
}

// scanOutput goes through the elements of an output below folder.
func scanOutput(folder, name string, element func(xml.Element) error) error {
	plain, f, err := openOutput(folder, name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := xml.Scanner{Element: element, Lenient: true}
	return s.Scan(plain)
}

// keepWhole leaves the folder of the run as one zip, without caches, before the results are moved out of it.
func (r Run) keepWhole() error {
	root, err := os.OpenRoot(filepath.Join(r.Work, runFolder))
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := listFiles(root)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(name string) bool { return slices.Contains(strings.Split(name, "/"), cacheFolder) })
	name := filepath.Join(r.Out, simulation.KeptFile)
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	bounded := io.Writer(out)
	if r.Output > 0 {
		bounded = &bounds{out, max(0, r.Output-r.usage().bytes), r.Output}
	}
	z := zip.NewWriter(bounded)
	for _, file := range files {
		if err = addFile(z, root, file); err != nil {
			break
		}
	}
	if err := errors.Join(err, z.Close(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// bounds lets as much of the zip pass as the run may still write.
type bounds struct {
	to          io.Writer
	left, limit int64
}

func (b *bounds) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, outputTooLarge{b.limit, usage{largest: simulation.KeptFile, most: b.left + int64(len(p))}}
	}
	b.left -= int64(len(p))
	return b.to.Write(p)
}

func addFile(z *zip.Writer, root *os.Root, name string) error {
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &zip.FileHeader{Name: path.Clean(name), Method: zip.Deflate, Modified: info.ModTime().UTC()}
	header.SetMode(fs.FileMode(0o644))
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
