package local

import (
	"cmp"
	"slices"
)

// queue holds the chunks that wait for slots: those of each namespace, the next first.
type queue map[string][]*task

// inOrder compares chunks of one namespace: the highest priority goes first, then a single job before a study, whose runs would keep it
// waiting for long, then the first submitted.
func inOrder(a, b *task) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), byAge(a, b))
}

// turn has single jobs come before studies, which are waited for anyway.
func (t *task) turn() int {
	if t.single {
		return 0
	}
	return 1
}

func byAge(a, b *task) int {
	return cmp.Or(
		cmp.Compare(a.turn(), b.turn()),
		a.submitted.Compare(b.submitted),
		cmp.Compare(a.id, b.id),
	)
}

func (q queue) add(t *task) {
	waiting := q[t.namespace]
	at, _ := slices.BinarySearchFunc(waiting, t, inOrder)
	q[t.namespace] = slices.Insert(waiting, at, t)
}

func (q queue) has(t *task) bool { return slices.Contains(q[t.namespace], t) }

func (q queue) remove(t *task) {
	waiting := q[t.namespace]
	if at := slices.Index(waiting, t); at >= 0 {
		waiting = slices.Delete(waiting, at, at+1)
	}
	if q[t.namespace] = waiting; len(waiting) == 0 {
		delete(q, t.namespace)
	}
}

// next takes out the chunk whose turn it is, nil if none waits. At equal priority it is one of the tenant with the fewest runs at work.
func (q queue) next(atWork map[string]int) *task {
	var first *task
	for _, waiting := range q {
		t := waiting[0]
		if first == nil || cmp.Or(
			cmp.Compare(first.priority, t.priority),
			cmp.Compare(atWork[t.namespace], atWork[first.namespace]),
			byAge(t, first),
		) < 0 {
			first = t
		}
	}
	if first != nil {
		q.remove(first)
	}
	return first
}

// drain takes out all.
func (q queue) drain() []*task {
	var all []*task
	for _, waiting := range q {
		all = append(all, waiting...)
	}
	clear(q)
	return all
}
