package run

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// maxStatistics bounds what is read of a statistic output in CSV, in bytes: SUMO's have a few KiB.
const maxStatistics = 1 << 20

// totalColumn is among the columns of the statistic output in CSV, and SUMO prints it nowhere.
const totalColumn = "vehicleTripStatistics_totalTravelTime"

// readStatistics reads the statistic output, in XML or CSV. In Parquet its numbers have other digits than everywhere else, so that those
// that SUMO prints are better.
func readStatistics(folder, name string) tags {
	t := readTags(folder, name)
	if len(t) == 0 && name != "" {
		_ = t.readCSV(filepath.Join(folder, name)) // what there is counts
	}
	return t
}

// readCSV takes the wanted elements from a table of SUMO's since 1.28, in which each element has a row and each attribute a column, such as
// vehicles_loaded. Earlier versions name only the columns of the first row.
func (t tags) readCSV(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gz.Unpack(f)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(io.LimitReader(plain, maxStatistics))
	if !lines.Scan() {
		return lines.Err()
	}
	before, _, ok := strings.Cut(lines.Text(), totalColumn)
	if !ok || before == "" {
		return errors.New("its first line does not name the columns")
	}
	separator := before[len(before)-1:]
	columns := strings.Split(lines.Text(), separator)
	for lines.Scan() {
		values := strings.Split(lines.Text(), separator)
		if len(values) != len(columns) {
			return fmt.Errorf("a row has %d of %d columns", len(values), len(columns))
		}
		for i, value := range values {
			tag, attribute, ok := strings.Cut(columns[i], "_")
			if ok && value != "" && slices.Contains(wanted, tag) {
				e := t[tag]
				e.Attrs = append(e.Attrs, xml.Attr{Name: []byte(attribute), Value: []byte(value)})
				t[tag] = e
			}
		}
	}
	return lines.Err()
}
