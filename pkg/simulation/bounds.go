package simulation

import (
	"fmt"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// MaxOutcome is more bytes than an outcome has, in JSON, where a character may take six. Argo keeps outcomes in its workflows, and the
// cluster's store takes 1.5 MB of one object.
const MaxOutcome = 256 << 10

// The most that is kept of warnings, and of problems: more than a person reads.
const (
	maxRemarks     = 100
	maxRemark      = 2 << 10  // bytes of one
	maxRemarkBytes = 12 << 10 // of all
	maxMessage     = 6 << 10
)

// Warned returns warnings without repeats, as many as a job keeps, and says how many more there are.
func Warned(warnings []string) []string {
	var kept []string
	size, more := 0, 0
	seen := map[string]bool{}
	for _, w := range warnings {
		if seen[w] {
			continue
		}
		seen[w] = true
		short := cut(w, maxRemark)
		if len(kept) == maxRemarks || size+len(short) > maxRemarkBytes {
			more++
			continue
		}
		kept, size = append(kept, short), size+len(short)
	}
	if more > 0 {
		kept = append(kept, fmt.Sprintf("… and %d more warnings", more))
	}
	return kept
}

// Bounded is o with no more text than MaxOutcome allows. The log has all.
func (o Outcome) Bounded() Outcome {
	o.Message, o.Warnings = cut(o.Message, maxMessage), Warned(o.Warnings)
	var kept []problem.Item
	size := 0
	for n, p := range o.Problems {
		p.Location, p.Message = cut(p.Location, maxRemark), cut(p.Message, maxRemark)
		size += len(p.Location) + len(p.Message)
		if len(kept) == maxRemarks || size > maxRemarkBytes {
			kept = append(kept, problem.Item{Message: fmt.Sprintf("… and %d more problems", len(o.Problems)-n)})
			break
		}
		kept = append(kept, p)
	}
	o.Problems = kept
	return o
}

// cut is text, or as much of it as fits into size bytes, with a mark.
func cut(text string, size int) string {
	const mark = " …"
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size-len(mark)], "") + mark
}
