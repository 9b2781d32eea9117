package config

import (
	"bytes"
	"fmt"
	"regexp"
)

// Toleration is that of a pod, in Kubernetes' words.
type Toleration struct {
	Key, Operator, Value, Effect string
}

var taint = regexp.MustCompile(`^([\w./-]+)(=[\w.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$`)

// UnmarshalText reads the taint to be tolerated, as `kubectl taint` writes it: key=value:effect. Without a value any value
// is tolerated, without an effect all effects are.
func (t *Toleration) UnmarshalText(text []byte) error {
	parts := taint.FindSubmatch(text)
	if parts == nil {
		return fmt.Errorf("%q is not a taint; write key=value:effect, with the effect NoSchedule, PreferNoSchedule or NoExecute", text)
	}
	*t = Toleration{Key: string(parts[1]), Operator: "Exists", Effect: string(parts[4])}
	if value, given := bytes.CutPrefix(parts[2], []byte("=")); given {
		t.Operator, t.Value = "Equal", string(value)
	}
	return nil
}
