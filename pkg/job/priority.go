package job

import "github.com/sumo-k8/sumo-k8/pkg/problem"

// Priority orders a tenant's queue; within one priority the first submitted goes first.
type Priority int

// The priorities that a request may choose.
const (
	Low    Priority = -10
	Normal Priority = 0
	High   Priority = 10
)

// ParsePriority is the inverse of Priority.String. An empty text is Normal.
func ParsePriority(text string) (Priority, error) {
	if text == "" {
		return Normal, nil
	}
	for _, p := range []Priority{Low, Normal, High} {
		if text == p.String() {
			return p, nil
		}
	}
	return Normal, problem.New(problem.Invalid, "priority is %.20q. Choose low, normal or high.", text)
}

func (p Priority) String() string {
	switch {
	case p < Normal:
		return "low"
	case p > Normal:
		return "high"
	default:
		return "normal"
	}
}
