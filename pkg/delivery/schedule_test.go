package delivery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestADeliveryIsTriedForThreeDaysAndThenGivenUp(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	d := Delivery{State: Waiting, DueAt: start}
	var waits []time.Duration
	for d.State == Waiting {
		at := d.DueAt
		d = d.After(Attempt{Status: 503, Error: "The receiver answered 503."}, at, 0.5)
		if d.State == Waiting {
			waits = append(waits, d.DueAt.Sub(at))
		}
	}
	if diff := cmp.Diff(delays, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.State != GivenUp || d.Attempts != MaxAttempts || d.DueAt.Sub(start) < Patience {
		t.Errorf("after %s the delivery is %s with %d attempts", d.DueAt.Sub(start), d.State, d.Attempts)
	}
}

func TestAfterAnAttempt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		attempt Attempt
		jitter  float64
		want    State
		delay   time.Duration
	}{
		{"confirmed", Attempt{Status: 204}, 0.5, Delivered, 0},
		{"refused", Attempt{Status: 400, Error: "no"}, 0.5, Waiting, 5 * time.Second},
		{"least jitter", Attempt{Error: "no"}, 0, Waiting, 4500 * time.Millisecond},
		{"most jitter", Attempt{Error: "no"}, 1, Waiting, 5500 * time.Millisecond},
		{"no other would go better", Attempt{Error: "no", Final: true}, 0.5, GivenUp, 0},
		{"asked to wait", Attempt{Status: 429, Error: "no", RetryAfter: time.Minute}, 0.5, Waiting, time.Minute},
		{"asked to wait less than we would", Attempt{Status: 429, Error: "no", RetryAfter: time.Second}, 0.5, Waiting, 5 * time.Second},
		{"asked to wait for ever", Attempt{Status: 429, Error: "no", RetryAfter: 1000 * time.Hour}, 0.5, Waiting, 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Delivery{State: Waiting, DueAt: at}.After(tt.attempt, at, tt.jitter)
			if got.State != tt.want || got.DueAt.Sub(at) != tt.delay || got.Error != tt.attempt.Error || got.Status != tt.attempt.Status {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAReceiverInTroubleIsAskedAgainWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for failures := range 8 {
		got = append(got, pause(failures+1))
	}
	want := []time.Duration{
		5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute,
		5 * time.Minute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if pause(1_000_000) != 5*time.Minute {
		t.Error("many failures overflow")
	}
}
