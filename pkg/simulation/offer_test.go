package simulation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatRunsIsReadyAndTheNearestNewerOneFollows(t *testing.T) {
	t.Parallel()
	offer := Offer{
		{Name: "1.15", Ready: true}, {Name: "1.20", Ready: true, Supported: true}, {Name: "1.22", Supported: true},
		{Name: "1.24", Ready: true, Supported: true}, {Name: "1.30", Ready: true},
	}
	if diff := cmp.Diff([]string{"1.15", "1.20", "1.24", "1.30"}, offer.Ready()); diff != "" {
		t.Errorf("ready (-want +got):\n%s", diff)
	}
	if got := offer.Newest(); got != "1.24" {
		t.Errorf("the default is %s, want the newest supported one", got)
	}
	if got := (Offer{{Name: "1.15", Ready: true}, {Name: "1.28", Supported: true}}).Newest(); got != "1.15" {
		t.Errorf("where only an unsupported one is ready the default is %s", got)
	}
	if got := (Offer{{Name: "1.28"}}).Newest(); got != "" {
		t.Errorf("where none is ready the default is %s", got)
	}
	for name, want := range map[string]string{"1.9": "1.15", "1.15": "1.15", "1.16": "1.20", "1.22": "1.24", "1.24": "1.24", "1.31": "1.24"} {
		if got := offer.Successor(name); got != want {
			t.Errorf("%s is followed by %s, want %s", name, got, want)
		}
	}
	if diff := cmp.Diff([]string{"1.20", "1.24", "1.30"}, offer.Successors("1.18")); diff != "" {
		t.Errorf("1.18 is followed by (-want +got):\n%s", diff)
	}
	if v, ok := offer.Find("1.22"); !ok || v.Ready {
		t.Errorf("1.22 is %+v, %t", v, ok)
	}
	if _, ok := offer.Find("1.2"); ok {
		t.Error("1.2 is found, which is not on offer")
	}
}

func TestNewerVersionsCanMore(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"1.18": 0, "1.20": 1, "1.24": 2, "1.28": 3} {
		if got := (Version{Name: name}).Can(); len(got) != want {
			t.Errorf("%s can %q, want %d", name, got, want)
		}
	}
}
