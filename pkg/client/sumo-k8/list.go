package main

import (
	"encoding/json"
	"fmt"
)

// maxPage is the longest page that the service sends.
const maxPage = 200

// listing is a list that comes in pages.
type listing[T interface{ JSON() json.RawMessage }] struct {
	// name is what its entries are called, in words and in JSON.
	name string
	// most is how many are shown; 0 for all.
	most    int
	heading []string
	// page gets up to limit entries, and where to go on; an empty next is the end.
	page func(cursor string, limit int) (entries []T, next string, err error)
	row  func(T) []string
}

// print shows the list: as JSON, in the form of one page of the service, or as a table.
func (l listing[T]) print(a *app) error {
	raw := []json.RawMessage{}
	rows := [][]string{l.heading}
	next, err := pages(l.most, func(cursor string, limit int) (int, string, error) {
		entries, next, err := l.page(cursor, limit)
		for _, e := range entries {
			raw = append(raw, e.JSON())
			rows = append(rows, l.row(e))
		}
		return len(entries), next, err
	})
	if err != nil {
		return err
	}
	if a.asJSON() {
		out, err := json.Marshal(map[string]any{l.name: raw, "next_cursor": next})
		if err != nil {
			return fmt.Errorf("printing the list: %w", err)
		}
		fmt.Fprintf(a.out, "%s\n", out)
		return nil
	}
	if len(raw) == 0 {
		a.note("No %s.", l.name)
		return nil
	}
	a.table(rows)
	if next != "" {
		a.note("There are more: -n 0 shows all.")
	}
	return nil
}

// pages calls page until it has most entries, or all of them when most is 0. Page answers how many it got, and where to go on.
func pages(most int, page func(cursor string, limit int) (n int, next string, err error)) (next string, err error) {
	for left := most; ; {
		limit := maxPage
		if most > 0 {
			limit = min(left, maxPage)
		}
		n, after, err := page(next, limit)
		next, left = after, left-n
		if err != nil || next == "" || most > 0 && left <= 0 {
			return next, err
		}
	}
}
