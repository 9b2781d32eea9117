package fairness

import "sync"

// Tally bounds what each tenant has under way at one instance, as a Bound does; what is beyond is refused at once, as it lasts too long to
// be waited for.
type Tally struct {
	// Most is the bound for one tenant; 0 for none.
	Most int

	mu       sync.Mutex
	underWay map[string]int // by tenant; tenants without any are absent
}

// Begin counts one more until end is called, which may happen repeatedly; ok is false if the tenant has as many as it may.
func (t *Tally) Begin(tenantID string) (end func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Most > 0 && t.underWay[tenantID] >= t.Most {
		return nil, false
	}
	if t.underWay == nil {
		t.underWay = map[string]int{}
	}
	t.underWay[tenantID]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.underWay[tenantID]--; t.underWay[tenantID] == 0 {
			delete(t.underWay, tenantID)
		}
	}), true
}
