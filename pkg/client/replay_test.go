package client

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
)

func TestARecordingIsReadInFewCalls(t *testing.T) {
	t.Parallel()
	const all = 250
	most := func(n int) func(int) int { return func(asked int) int { return min(asked, n) } }
	for name, test := range map[string]struct {
		answered func(asked int) int // segments
		want     []string            // the first of each call and how many of them are asked for
		from     int
	}{
		"as many as asked for":          {most(all), []string{"0 100", "100 100", "200 50"}, 0},
		"what does not fit is left":     {most(70), []string{"0 100", "70 100", "140 100", "210 40"}, 0},
		"what is new of one that grows": {most(1), []string{"248 2", "249 1"}, 248},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var calls []string
			text := func(n int) string { return "segment " + strconv.Itoa(n) }
			s := newScript(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				_, n, _ := strings.Cut(r.URL.Path, "/jobs/j1/replay/segments/a1/")
				first, _ := strconv.Atoi(n)
				asked, _ := strconv.Atoi(r.FormValue("count"))
				calls = append(calls, fmt.Sprint(first, asked))
				for k := range test.answered(asked) {
					fmt.Fprint(w, text(first+k))
				}
			})
			r := Recording{JobID: "j1", Index: replay.Index{Attempt: "a1"}}
			for n := test.from; n < all; n++ {
				r.Segments = append(r.Segments, replay.Segment{N: n, Bytes: len(text(n))})
			}
			n := test.from
			for data, err := range s.client(t).ReplaySegments(t.Context(), r) {
				if err != nil || string(data) != text(n) {
					t.Fatalf("segment %d is %q, error %v", n, data, err)
				}
				n++
			}
			if diff := cmp.Diff(test.want, calls); diff != "" || n != all {
				t.Errorf("%d segments by calls (-want +got):\n%s", n, diff)
			}
		})
	}
}

func TestAnAnswerThatIsNoSegmentsIsAnError(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "abc", "abcdef", "abcd12345"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			r := Recording{JobID: "j1", Index: replay.Index{Attempt: "a1", Segments: []replay.Segment{{N: 0, Bytes: 4}, {N: 1, Bytes: 4}}}}
			got, failed := 0, false
			for _, err := range newScript(t, says(200, answer)).client(t).ReplaySegments(t.Context(), r) {
				if err != nil {
					failed = true
					break
				}
				got++
			}
			if got > 0 || !failed {
				t.Errorf("%d segments, and an error: %t", got, failed)
			}
		})
	}
}
