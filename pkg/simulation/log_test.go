package simulation

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestALogsFirstLineAndItsMarksTellTheRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		began := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "began")).UTC()
		offset := rapid.Int64Range(0, 1<<40).Draw(t, "offset")
		end := rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")
		start := LogStart(began) + end
		if got, ok := ParseLogStart([]byte(start)); !ok || !got.Equal(began) || len(start) > MaxLogStart {
			t.Errorf("%q tells %v, %v", start, got, ok)
		}
		if got, at, ok := ParseLogMark([]byte(LogMark(began, offset) + end)); !ok || at != offset || !got.Equal(began) {
			t.Errorf("the mark at %d of %v tells %d of %v, %v", offset, began, at, got, ok)
		}
	})
}

func TestOtherLinesAreNeitherAStartNorAMark(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "\n", "sumo-run: succeeded\n", "sumo-run: started \n", "sumo-run: started yesterday\n",
		"Warning: sumo-run: started 2026-11-22T10:00:00.000Z\n",
		"sumo-run: 5 bytes since 2026-11-22T10:00:00.000Z\n", "\x1esumo-run: 5\n", "\x1esumo-run: -5 bytes since 2026-11-22T10:00:00.000Z\n",
		"\x1esumo-run: many bytes since 2026-11-22T10:00:00.000Z\n", "\x1e\n",
	} {
		if at, ok := ParseLogStart([]byte(line)); ok {
			t.Errorf("%q starts a log at %v", line, at)
		}
		if _, at, ok := ParseLogMark([]byte(line)); ok {
			t.Errorf("%q marks byte %d", line, at)
		}
	}
}
