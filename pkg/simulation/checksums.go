package simulation

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// FormatChecksums is the content of ChecksumFile: SHA-256 sums by file name, in the form that `sha256sum --check` reads.
// Names that would need its quoting are left out; none of SUMO's or ours does.
func FormatChecksums(sums map[string][]byte) []byte {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if !strings.ContainsAny(name, "\\\n\r") {
			b.WriteString(hex.EncodeToString(sums[name]) + "  " + name + "\n")
		}
	}
	return []byte(b.String())
}

// ParseChecksums reads what FormatChecksums has written, as hexadecimal sums by file name. It passes over other lines.
func ParseChecksums(text []byte) map[string]string {
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if raw, err := hex.DecodeString(sum); ok && err == nil && len(raw) == 32 && name != "" {
			sums[name] = sum
		}
	}
	return sums
}
