package config

import "testing"

func TestATolerationIsWrittenLikeItsTaint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Toleration{
		"karpenter.sh/disrupted:NoSchedule": {Key: "karpenter.sh/disrupted", Operator: "Exists", Effect: "NoSchedule"},
		"pool=spot:NoExecute":               {Key: "pool", Operator: "Equal", Value: "spot", Effect: "NoExecute"},
		"pool=":                             {Key: "pool", Operator: "Equal"},
		"spot":                              {Key: "spot", Operator: "Exists"},
	} {
		var got Toleration
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "=spot", "pool=spot:Never", "a b", "pool:NoSchedule:NoExecute"} {
		if err := new(Toleration).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a taint", text)
		}
	}
}
