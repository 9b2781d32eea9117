package simulation

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The first line of a log identifies the run that wrote it. A restarted job has another log, and an offset in the old one means
// nothing in the new one. The line is the same wherever the log is read: from a folder, a kubelet or the object store.
const (
	logStart     = "sumo-run: started "
	logStartTime = "2006-01-02T15:04:05.000Z"
)

// MaxLogStart bounds the first line of a log, in bytes.
const MaxLogStart = len(logStart) + len(logStartTime) + 1

// LogStart is the first line of the log of a run that begins at the given time, without its newline.
func LogStart(at time.Time) string { return logStart + at.UTC().Format(logStartTime) }

// ParseLogStart returns when the run began whose log starts with line.
func ParseLogStart(line []byte) (began time.Time, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(logStart))
	if !ok {
		return time.Time{}, false
	}
	began, err := time.Parse(logStartTime, string(bytes.TrimRight(rest, "\r\n")))
	return began, err == nil
}

// A mark says on the console, and not in the log, how far the log has come. A kubelet shows only the last part of a long
// output, whose place in the log is unknown without marks. No line of a log begins like one: logs hold no control characters.
const logMark = "\x1esumo-run: "

// LogMarkEvery is how many bytes of a log stand between two marks: one thousandth more output, and little that cannot be
// placed behind the cut.
const LogMarkEvery = 64 << 10

// LogMark is the mark, without its newline, of the run that began at the given time, behind so many bytes of its log.
func LogMark(began time.Time, offset int64) string {
	return fmt.Sprintf("%s%d bytes since %s", logMark, offset, began.UTC().Format(logStartTime))
}

// ParseLogMark returns what a mark says; ok is false for any other line.
func ParseLogMark(line []byte) (began time.Time, offset int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(logMark))
	if !ok {
		return time.Time{}, 0, false
	}
	number, stamp, _ := strings.Cut(strings.TrimRight(string(rest), "\r\n"), " bytes since ")
	offset, err := strconv.ParseInt(number, 10, 64)
	if err != nil || offset < 0 {
		return time.Time{}, 0, false
	}
	began, err = time.Parse(logStartTime, stamp)
	return began, offset, err == nil
}
