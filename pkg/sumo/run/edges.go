package run

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// writeEdgeColumns leaves the edgedata output of a study's run, which has the given name in the output folder, as a file that statistics
// over many runs are made from. It returns a warning if it cannot: the results of the run are as good without.
func (r Run) writeEdgeColumns(edgedata string) (warning string) {
	err := r.edgeColumns(edgedata)
	if err == nil {
		return ""
	}
	_ = os.Remove(filepath.Join(r.Out, simulation.EdgeColumnsFile))
	return fmt.Sprintf("The edge statistics of the study leave out %s: %s.", edgedata, withoutStop(err))
}

func (r Run) edgeColumns(edgedata string) error {
	in, f, err := openOutput(r.Out, edgedata)
	if errors.Is(err, errNotXML) {
		return errors.New("it is not XML; leave out the option output.format, and let the file's name end in .xml or .xml.gz")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := os.Create(filepath.Join(r.Out, simulation.EdgeColumnsFile))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	return errors.Join(outputs.WriteEdgeColumns(out, in), out.Flush(), file.Close())
}
