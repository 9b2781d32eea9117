package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the test vectors again")

// vector says what a segment in testdata means. The tests of the page read the same files.
type vector struct {
	Malformed bool          `json:"malformed,omitempty"` // reading it, or one of its frames, is an error
	Header    *Header       `json:"header,omitempty"`
	Frames    []vectorFrame `json:"frames,omitempty"`
}

type vectorFrame struct {
	Time int64 `json:"time"` // ms
	// For each vehicle: its index in the header, x and y in 0.1 m, its angle in degrees, its speed in 0.1 m/s, and the index of its lane in
	// the header, or -1.
	Vehicles [][6]int `json:"vehicles"`
}

func meaning(data []byte) vector {
	r, err := Open(data)
	if err != nil {
		return vector{Malformed: true}
	}
	v := vector{Header: &r.Header}
	for {
		ms, positions, err := r.Next(nil)
		switch {
		case errors.Is(err, io.EOF):
			return v
		case err != nil:
			return vector{Malformed: true}
		}
		f := vectorFrame{Time: ms, Vehicles: [][6]int{}}
		for _, p := range positions {
			f.Vehicles = append(f.Vehicles, [6]int{p.Vehicle, int(p.X), int(p.Y), int(p.Angle), int(p.Speed), p.Lane})
		}
		v.Frames = append(v.Frames, f)
	}
}

func TestTheVectorsMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	if *update {
		for name, data := range vectors(t) {
			if err := os.WriteFile(filepath.Join("testdata", name+".sk8r"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(meaning(data))
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte(`{"time"`), []byte("\n"+`{"time"`))
			if err := os.WriteFile(filepath.Join("testdata", name+".json"), append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob("testdata/*.sk8r")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(strings.TrimSuffix(file, ".sk8r") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want vector
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if want.Malformed != strings.Contains(file, "malformed") {
			t.Errorf("%s: malformed is %t", file, want.Malformed)
		}
		if diff := cmp.Diff(want, meaning(data)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// vectors makes the segments of testdata.
func vectors(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	one := func(name string, fill func(w *Writer)) {
		w := NewWriter(func(s Written) error {
			out[name] = s.Data // the last segment, which may begin with vehicles that stand
			return nil
		})
		fill(w)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	frame := func(w *Writer, ms int64, samples ...Sample) {
		if err := w.Begin(ms); err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			w.Add(s)
		}
	}
	at := func(id string, x, y, angle, speed float64, lane string) Sample {
		return Sample{ID: []byte(id), Type: []byte("car"), X: x, Y: y, Angle: angle, Speed: speed, Lane: []byte(lane)}
	}
	place := func(v float64) *float64 { return &v }

	one("members", func(w *Writer) {
		frame(w, 0, at("a", 10, 20, 90, 10, "e_0"), at("b", 0, 0, 0, 0, "e_1"), at("c", -5, -7.5, 359, 3, ""))
		frame(w, 1000, at("c", -5.1, -4.5, 1, 3, "f_0"), at("a", 20, 20, 90, 10, "e_0"))
		frame(w, 2000)
		frame(w, 3000, at("d", 1, 1, 45, 1.4, "e_0"), at("b", 0, 0, 180, 0.1, "e_1"), at("a", 500, 20, 270, 13.9, "e_1"))
		frame(w, 3100, at("a", 498.6, 20, 270, 13.9, "e_1"), at("d", 1.1, 1.1, 44, 1.4, "e_0"), at("b", 0, 0, 180, 0, "e_1"))
	})
	one("waiting", func(w *Writer) {
		person := at("a", 3, 4, 10, 0, "e")
		person.Person, person.Type = true, []byte("DEFAULT_PEDTYPE")
		w.Signal(0, "J1", "GGrr")
		for i := range int64(60) {
			frame(w, i*1000, at("a", 1, 2, 0, 0, "e_0"), person)
		}
		w.Signal(60_000, "J2", "rG")
		w.Signal(60_000, "J1", "yyrr")
		frame(w, 60_000, person, at("a", 1, 2, 0, 0, "e_0"))
		w.Signal(60_500, "J1", "rrGG")
		w.Event(Incident{Time: 61, Kind: Teleport, Vehicle: "a", Edge: "e", Lane: "e_0", X: place(1), Y: place(2),
			Text: "Warning: Teleporting vehicle 'a'; waited too long (jam), lane='e_0', time=61.00."})
		w.Event(Incident{Time: 61, Kind: Dropped, Vehicle: "b", Text: "Warning: no place"})
		frame(w, 61_000, at("a", 1, 3, 0, 1, "e_0"), person)
	})
	one("empty", func(w *Writer) { frame(w, 0); frame(w, 86_400_000-1) })
	one("names", func(w *Writer) {
		for _, id := range []string{`<img src=x onerror="alert(1)">`, "line\nbreak\x7f\x01", strings.Repeat("long", 2500), "ü 車 😀", ""} {
			w.Signal(0, "J "+id, "G")
		}
		frame(w, 0, at(`<img src=x onerror="alert(1)">`, 0, 0, 0, 0, `"'<b>`), at("line\nbreak\x7f\x01", 1, 0, 0, 0, ""),
			at(strings.Repeat("long", 2500), 2, 0, 0, 0, ""), at("ü 車 😀", 3, 0, 0, 0, "ü_0"), at("", 4, 0, 0, 0, ""))
	})
	one("extremes", func(w *Writer) {
		frame(w, 0, at("a", 2e8, -2e8, 359.6, 250, "e_0"), at("b", -2e8, 2e8, 180, -3, "e_0"))
		frame(w, 100, at("a", -2e8, 2e8, 179.5, 0, "e_0"), at("b", 2e8, -2e8, 0, 900, "e_1"))
		frame(w, 59_999, at("a", -2e8, 2e8, 0, 25.5, "e_0"))
	})
	one("crowd", func(w *Writer) {
		random := rand.New(rand.NewPCG(1, 2))
		type car struct{ x, y, angle, speed float64 }
		cars := make([]car, 300)
		for i := range cars {
			cars[i] = car{random.Float64() * 2000, random.Float64() * 2000, math.Floor(random.Float64()*4) * 90, random.Float64() * 20}
		}
		for step := range int64(50) {
			w.Signal(step*500, fmt.Sprint("J", step%7), [...]string{"GGrr", "yyrr", "rrGG"}[random.IntN(3)])
			var samples []Sample
			for i := range cars {
				c := &cars[i]
				if random.IntN(20) == 0 {
					continue
				}
				if random.IntN(5) == 0 {
					c.speed, c.angle = random.Float64()*20, math.Mod(c.angle+random.Float64()*90, 360)
				}
				c.x += c.speed / 2 * math.Sin(c.angle*math.Pi/180)
				c.y += c.speed / 2 * math.Cos(c.angle*math.Pi/180)
				samples = append(samples, at(fmt.Sprint("v", i), c.x, c.y, c.angle, c.speed, fmt.Sprintf("e%d_%d", i%9, random.IntN(2))))
			}
			frame(w, step*500, samples...)
		}
	})

	good := out["members"]
	r, err := Open(good)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(nil)
	again := func(h Header, columns ...[]byte) []byte {
		data, err := encode(z, h, columns)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	more := r.Header
	more.Columns = append([]string{"slope"}, more.Columns...)
	out["unknown_column"] = again(more, append([][]byte{{1, 2, 3}}, r.columns[:]...)...)
	out["malformed_version"] = append([]byte("SK8R\x02"), good[5:]...)
	out["malformed_cut"] = good[:len(good)*2/3]
	out["malformed_empty"] = []byte{}
	short := r.columns
	short[colX] = short[colX][:3]
	out["malformed_column"] = again(r.Header, short[:]...)
	short = r.columns
	short[colMembers] = []byte{9}
	out["malformed_members"] = again(r.Header, short[:]...)
	short = r.columns
	short[colLane] = append([]byte{99}, short[colLane][1:]...)
	out["malformed_lane"] = again(r.Header, short[:]...)
	signal := r.Header
	signal.Signals = Signals{IDs: []string{"J1"}, States: []string{"G"}, Changes: []Change{{Time: 1, Signal: 1, State: "r"}}}
	out["malformed_signal"] = again(signal, r.columns[:]...)
	return out
}

func FuzzOpen(f *testing.F) {
	files, err := filepath.Glob("testdata/*.sk8r")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		// The fuzzer does not find its way through a checksum: it also gets what is compressed.
		if z, err := gzip.NewReader(bytes.NewReader(data[min(len(data), len(magic)):])); err == nil {
			if plain, err := io.ReadAll(z); err == nil {
				f.Add(plain)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte(magic)) {
			var out bytes.Buffer
			out.WriteString(magic)
			z := gzip.NewWriter(&out)
			_, _ = z.Write(data)
			_ = z.Close()
			data = out.Bytes()
		}
		r, err := Open(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		for range 1000 {
			_, positions, err := r.Next(nil)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				return
			}
			for _, p := range positions {
				if p.Vehicle >= len(r.Header.Vehicles) || p.Lane >= len(r.Header.Lanes) || p.Angle < 0 || p.Angle > 359 {
					t.Fatalf("%+v", p)
				}
			}
		}
	})
}

func TestABombIsRefused(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	out.WriteString(magic)
	z := gzip.NewWriter(&out)
	_, _ = z.Write(make([]byte, maxInflated+1))
	_ = z.Close()
	if _, err := Open(out.Bytes()); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	// Many entries that are larger in memory than here.
	head := `{"vehicles":[{}` + strings.Repeat(",{}", maxHeader/3-100) + `]}`
	data, err := encode(gzip.NewWriter(nil), Header{}, nil)
	if err != nil || len(data) == 0 {
		t.Fatal(err)
	}
	if _, err := readHeader([]byte(head)); err == nil {
		t.Error("no error")
	}
}
