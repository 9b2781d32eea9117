package outputs

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// A file of edge columns has what an edgedata output has, by attribute, so that statistics over many runs read one attribute and no XML:
//
//	"SK8EDGE" and the version, 1, as a byte
//	the length of the header, in four bytes, the lowest first
//	the header: edgeHeader as JSON, in gzip
//	for each attribute of the header a column, in gzip, one after the other
//
// A column has a row for each interval, with a cell for each of the first edges of the header, as many as the interval says. A row begins
// with a byte. Up to 9 it is the number of decimals, and each cell is an unsigned varint (encoding/binary): 0 for no value, else 1 more
// than the zigzag code of the value without its decimal point. The byte 255 stands for a row of 64-bit floats (IEEE 754, the lowest byte
// first), where NaN is no value. Numbers are those of the output, exactly.
const (
	columnsMagic = "SK8EDGE\x01"
	mostDecimals = 9
	floats       = 255
)

// Bounds of a file of edge columns. Statistics keep sums for each cell of an attribute.
const (
	MaxEdgeCells = 1_000_000
	maxIntervals = 100_000
	maxColumns   = 100
	maxHeader    = 64 << 20 // bytes of JSON
	maxIDs       = 32 << 20 // bytes of the ids of edges: so many edges have half of that
	// maxRows bounds the rows of all columns while they are gathered, in bytes: 48 for each of the most cells. maxLatest bounds the
	// numbers of one interval, of nine bytes each.
	maxRows   = 48 << 20
	maxLatest = 4_000_000
	// maxExact bounds a value without its decimal point: up to there, a quotient of floats is the number that was written.
	maxExact = 1 << 51
)

// edgeHeader is JSON.
type edgeHeader struct {
	Intervals  []edgeInterval  `json:"intervals"`
	Edges      []string        `json:"edges"`
	Attributes []edgeAttribute `json:"attributes"`
}

type edgeInterval struct {
	Begin float64 `json:"begin"`
	End   float64 `json:"end"`
	Edges int     `json:"edges"` // with cells
}

type edgeAttribute struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // of its column
}

// errTooManyCells says what to do about an output that is too large for statistics.
func errTooManyCells() error {
	return problem.New(problem.TooLarge, "The edgedata output has more than %d values of one attribute. Choose longer intervals or fewer "+
		"edges.", MaxEdgeCells)
}

// columnWriter gathers rows.
type columnWriter struct {
	header  edgeHeader
	of      string // id of the definition of edge data that counts
	index   map[string]int
	columns map[string]int // by attribute
	rows    []bytes.Buffer // by column
	latest  []written      // of the interval that is being read, by column
	skip    bool           // the interval
	open    bool           // an interval is being read
	cells   int
	ids     int // bytes of the ids of edges
}

// written are numbers with the decimals that they were written with; -1 for no number.
type written struct {
	values   []float64
	decimals []int8
}

// reach makes w so many numbers long at least.
func (w *written) reach(n int) {
	for len(w.values) < n {
		w.values, w.decimals = append(w.values, 0), append(w.decimals, -1)
	}
}

// WriteEdgeColumns writes an edgedata output as a file of edge columns. Of a file with several definitions of edge data, the first counts.
func WriteEdgeColumns(out io.Writer, edgedata io.Reader) error {
	w := &columnWriter{index: map[string]int{}, columns: map[string]int{}}
	complete, err := read(edgedata, w.element)
	switch {
	case err != nil:
		return err
	case !complete:
		return errors.New("the edgedata output is cut off")
	}
	if err := w.endInterval(); err != nil {
		return err
	}
	return w.write(out)
}

func (w *columnWriter) element(e xml.Element) error {
	switch string(e.Name) {
	case "interval":
		if err := w.endInterval(); err != nil {
			return err
		}
		return w.begin(e)
	case "edge":
		if w.open && !w.skip {
			return w.edge(e)
		}
	}
	return nil
}

func (w *columnWriter) begin(e xml.Element) error {
	begin, end, id := number(e, "begin"), number(e, "end"), string(e.Attr("id"))
	if math.IsNaN(begin) || math.IsNaN(end) {
		return errors.New("an interval of the edgedata output has no begin or no end")
	}
	n := len(w.header.Intervals)
	if n == 0 {
		w.of = id
	}
	w.open = true
	w.skip = id != w.of || n > 0 && begin <= w.header.Intervals[n-1].Begin
	if w.skip {
		return nil
	}
	if n == maxIntervals {
		return errTooManyCells()
	}
	w.header.Intervals = append(w.header.Intervals, edgeInterval{Begin: begin, End: end})
	return nil
}

func (w *columnWriter) edge(e xml.Element) error {
	id := e.Attr("id")
	edge, ok := w.index[string(id)]
	if !ok {
		if w.ids += len(id); len(w.header.Edges) == MaxEdgeCells || w.ids > maxIDs {
			return errTooManyCells()
		}
		edge = len(w.header.Edges)
		w.header.Edges = append(w.header.Edges, string(id))
		w.index[w.header.Edges[edge]] = edge
	}
	for _, a := range e.Attrs {
		if string(a.Name) == "id" {
			continue
		}
		v, ok := xml.Number(a.Value)
		if !ok {
			continue
		}
		column, known := w.columns[string(a.Name)]
		if !known {
			if column = len(w.latest); column == maxColumns {
				continue
			}
			name := string(a.Name)
			w.columns[name] = column
			w.header.Attributes = append(w.header.Attributes, edgeAttribute{Name: name})
			w.latest, w.rows = append(w.latest, written{}), append(w.rows, bytes.Buffer{})
			for _, i := range w.header.Intervals[:len(w.header.Intervals)-1] { // no edge had it there
				w.rows[column].Write(make([]byte, 1+i.Edges))
			}
		}
		decimals := 0
		if point := bytes.IndexByte(a.Value, '.'); point >= 0 {
			decimals = len(a.Value) - point - 1
		}
		row := &w.latest[column]
		row.reach(edge + 1)
		row.values[edge], row.decimals[edge] = v, int8(min(decimals, math.MaxInt8))
	}
	if len(w.header.Edges)*len(w.latest) > maxLatest {
		return errTooManyCells()
	}
	return nil
}

// endInterval encodes the rows of the interval that has been read.
func (w *columnWriter) endInterval() error {
	if !w.open || w.skip {
		w.open = false
		return nil
	}
	w.open = false
	edges := len(w.header.Edges)
	w.header.Intervals[len(w.header.Intervals)-1].Edges = edges
	if w.cells += edges; w.cells > MaxEdgeCells {
		return errTooManyCells()
	}
	size := 0
	for column := range w.latest {
		row := &w.latest[column]
		row.reach(edges)
		w.rows[column].Write(row.encode())
		row.values, row.decimals = row.values[:0], row.decimals[:0]
		size += w.rows[column].Len()
	}
	if size > maxRows {
		return errTooManyCells()
	}
	return nil
}

// encode writes a row.
func (w *written) encode() []byte {
	decimals := int(slices.Max(append(w.decimals, 0)))
	power := math.Pow10(decimals)
	raw := append(make([]byte, 0, 2*len(w.values)+1), byte(decimals))
	for i, v := range w.values {
		if w.decimals[i] < 0 {
			raw = append(raw, 0)
			continue
		}
		whole := math.Round(v * power)
		if decimals > mostDecimals || math.Abs(whole) > maxExact || whole/power != v {
			return w.encodeFloats()
		}
		raw = binary.AppendUvarint(raw, uint64(int64(whole)<<1)^uint64(int64(whole)>>63)+1)
	}
	return raw
}

func (w *written) encodeFloats() []byte {
	raw := append(make([]byte, 0, 8*len(w.values)+1), floats)
	for i, v := range w.values {
		if w.decimals[i] < 0 {
			v = math.NaN()
		}
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return raw
}

func (w *columnWriter) write(out io.Writer) error {
	pack := func(raw []byte) ([]byte, error) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(raw)
		err = errors.Join(err, z.Close())
		return packed.Bytes(), err
	}
	columns := make([][]byte, len(w.rows))
	for i := range w.rows {
		packed, err := pack(w.rows[i].Bytes())
		if err != nil {
			return err
		}
		w.rows[i] = bytes.Buffer{}
		columns[i], w.header.Attributes[i].Bytes = packed, int64(len(packed))
	}
	text, err := json.Marshal(w.header)
	if err != nil {
		return err
	}
	header, err := pack(text)
	if err != nil {
		return err
	}
	begin := binary.LittleEndian.AppendUint32([]byte(columnsMagic), uint32(len(header)))
	for _, part := range append([][]byte{begin, header}, columns...) {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// EdgeColumns is the header of a file of edge columns.
type EdgeColumns struct {
	edgeHeader
	start int64 // of the first column, in the file
}

// ErrNoColumns is of a file that has no edge columns, such as an output of that name.
var ErrNoColumns = errors.New("not a file of edge columns, or one of a later release")

// ReadEdgeColumns reads the header of a file, whose columns follow.
func ReadEdgeColumns(r io.Reader) (*EdgeColumns, error) {
	begin := make([]byte, len(columnsMagic)+4)
	if _, err := io.ReadFull(r, begin); err != nil || string(begin[:len(columnsMagic)]) != columnsMagic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		return nil, ErrNoColumns
	}
	length := int64(binary.LittleEndian.Uint32(begin[len(columnsMagic):]))
	c := &EdgeColumns{start: int64(len(begin)) + length}
	packed := bufio.NewReader(io.LimitReader(r, length)) // gzip reads no further than this
	z, err := gzip.NewReader(packed)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxHeader)).Decode(&c.edgeHeader)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(z, maxHeader)) // to the checksum
	}
	if err == nil {
		_, err = io.Copy(io.Discard, packed)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the header of edge columns: %w", err)
	}
	cells, before := 0, math.Inf(-1)
	for _, i := range c.Intervals {
		if i.Edges < 0 || i.Edges > len(c.Edges) || !(i.Begin > before) {
			return nil, errors.New("the header of edge columns contradicts itself")
		}
		cells, before = cells+i.Edges, i.Begin
	}
	if cells > MaxEdgeCells || len(c.Edges) > MaxEdgeCells || len(c.Intervals) > maxIntervals || len(c.Attributes) > maxColumns {
		return nil, errTooManyCells()
	}
	return c, nil
}

// HeaderEnd is where the header ends in the file.
func (c *EdgeColumns) HeaderEnd() int64 { return c.start }

// Column is where the column of an attribute is in the file; ok is false if there is none.
func (c *EdgeColumns) Column(attribute string) (offset, length int64, ok bool) {
	offset = c.start
	for _, a := range c.Attributes {
		if a.Name == attribute {
			return offset, a.Bytes, a.Bytes > 0
		}
		offset += a.Bytes
	}
	return 0, 0, false
}

// Values reads a column: by interval, then by edge, NaN where the output has no value. A row may end before the last edges, which have
// none.
func (c *EdgeColumns) Values(column io.Reader) ([][]float64, error) {
	z, err := gzip.NewReader(column)
	if err != nil {
		return nil, fmt.Errorf("reading a column of edges: %w", err)
	}
	raw := bufio.NewReaderSize(z, 64<<10)
	values := make([][]float64, len(c.Intervals))
	for i, at := range c.Intervals {
		values[i] = make([]float64, at.Edges)
		if err := decodeRow(raw, values[i]); err != nil {
			return nil, fmt.Errorf("reading a column of edges: %w", err)
		}
	}
	if _, err := raw.ReadByte(); !errors.Is(err, io.EOF) { // or the checksum does not match
		return nil, fmt.Errorf("reading a column of edges: it does not end after its rows: %w", cmp.Or(err, ErrNoColumns))
	}
	return values, nil
}

func decodeRow(raw *bufio.Reader, row []float64) error {
	kind, err := raw.ReadByte()
	switch {
	case err != nil:
		return err
	case kind == floats:
		var eight [8]byte
		for i := range row {
			if _, err := io.ReadFull(raw, eight[:]); err != nil {
				return err
			}
			row[i] = math.Float64frombits(binary.LittleEndian.Uint64(eight[:]))
		}
		return nil
	case kind > mostDecimals:
		return ErrNoColumns
	}
	power := math.Pow10(int(kind))
	for i := range row {
		code, err := binary.ReadUvarint(raw)
		if err != nil {
			return err
		}
		if code == 0 {
			row[i] = math.NaN()
			continue
		}
		code--
		row[i] = float64(int64(code>>1)^-int64(code&1)) / power
	}
	return nil
}

// An edge without vehicles is missing in an output, or lacks some attributes. It has these with 0; others are unknown there.
var zeroAttributes = []string{
	"sampledSeconds", "density", "laneDensity", "overlapDensity", "occupancy", "waitingTime", "timeLoss", "departed", "arrived", "entered",
	"left", "laneChangedFrom", "laneChangedTo", "vaporized", "teleported", "flow", "distance",
}

// OnEmptyEdge is what an attribute is on an edge without vehicles: 0 for counts, densities and total emissions, else NaN.
func OnEmptyEdge(attribute string) float64 {
	if slices.Contains(zeroAttributes, attribute) || strings.HasSuffix(attribute, "_abs") || strings.HasSuffix(attribute, "_normed") {
		return 0
	}
	return math.NaN()
}

// edgeUnits are the units of attributes by their names, or by how these end.
// https://sumo.dlr.de/docs/Simulation/Output/Lane-_or_Edge-based_Traffic_Measures.html and …_Emissions_Measures.html
var edgeUnits = map[string]string{
	"sampledSeconds": "s", "traveltime": "s", "overlapTraveltime": "s", "waitingTime": "s", "timeLoss": "s", "speed": "m/s",
	"speedRelative": "1",
	"density":       "veh/km", "overlapDensity": "veh/km", "laneDensity": "veh/km", "occupancy": "%", "departed": "veh", "arrived": "veh",
	"entered": "veh", "left": "veh", "laneChangedFrom": "veh", "laneChangedTo": "veh", "vaporized": "veh", "teleported": "veh",
	"flow": "veh/h", "distance": "m", "noise": "dB", "electricity_abs": "Wh", "electricity_normed": "Wh/km/h", "electricity_perVeh": "Wh",
	"_abs": "mg", "_normed": "g/km/h", "_perVeh": "mg",
}

// EdgeUnit is the unit of an attribute of edges; empty where it is not known.
func EdgeUnit(attribute string) string {
	if unit, ok := edgeUnits[attribute]; ok {
		return unit
	}
	return edgeUnits[attribute[max(0, strings.LastIndexByte(attribute, '_')):]]
}
