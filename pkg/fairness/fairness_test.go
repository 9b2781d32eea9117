package fairness

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func begin(t *testing.T, b *Bound, tenantID string) (end func()) {
	t.Helper()
	_, end, err := b.Begin(t.Context(), tenantID)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func TestTheRestWaitInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Bound{Most: 2, Patience: time.Minute}
		ends := []func(){begin(t, b, "acme"), begin(t, b, "acme")}
		begun := make(chan int, 3)
		for i := range 3 {
			go func() {
				end := begin(t, b, "acme")
				defer end()
				begun <- i
				time.Sleep(time.Second)
			}()
			synctest.Wait()
		}
		begin(t, b, "other")() // waits for nobody
		if len(begun) > 0 {
			t.Fatalf("%d began beside two others", <-begun)
		}
		ends[0]()
		if order := []int{<-begun, <-begun, <-begun}; !slices.Equal(order, []int{0, 1, 2}) {
			t.Errorf("the order was %v", order)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		ends[1]()
		if len(b.lines) != 0 {
			t.Errorf("%d tenants are remembered that have no call here", len(b.lines))
		}
	})
}

func TestWhoWaitsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Bound{Most: 1, Patience: 30 * time.Second}
		end := begin(t, b, "acme")
		start := time.Now()
		_, _, err := b.Begin(t.Context(), "acme")
		refused, ok := errors.AsType[*problem.Error](err)
		if !ok || refused.Code != problem.RateLimited || refused.RetryAfter <= 0 || time.Since(start) != b.Patience {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		end()
		begin(t, b, "acme")()
		if len(b.lines) != 0 {
			t.Errorf("%d tenants are remembered that have no call here", len(b.lines))
		}
	})
}

func TestACallerThatLeavesFreesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Bound{Most: 1, Patience: time.Hour}
		end := begin(t, b, "acme")
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, _, err := b.Begin(ctx, "acme")
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left: %v", err)
		}
		if _, _, err := b.Begin(ctx, "other"); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that had left before: %v", err)
		}
		end()
		begin(t, b, "acme")()
		if len(b.lines) != 0 {
			t.Errorf("%d tenants are remembered that have no call here", len(b.lines))
		}
	})
}

// TestPartsDoNotWaitForTheWhole: with a place each, a piece of work and its own part would wait for each other.
func TestPartsDoNotWaitForTheWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, separate := &Bound{Most: 1, Patience: time.Second}, &Bound{Most: 1, Patience: time.Second}
		ctx, end, err := b.Begin(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		for name, part := range map[string]struct {
			bound    *Bound
			tenantID string
		}{"its own part": {b, "acme"}, "another tenant": {b, "other"}, "another bound": {separate, "acme"}, "no bound": {nil, "acme"}} {
			_, partEnds, err := part.bound.Begin(ctx, part.tenantID)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			partEnds()
		}
		if _, _, err := b.Begin(t.Context(), "acme"); problem.CodeOf(err) != problem.RateLimited {
			t.Errorf("the end of a part ended the whole: another call answers %v", err)
		}
	})
}
