package kube

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const audience = "sumo-k8-reconcile"

// reviewer is an API server that reviews tokens, and counts how often it was asked.
func reviewer(t *testing.T, verdicts map[string]authenticationv1.TokenReviewStatus) (rest.Interface, *atomic.Int32) {
	t.Helper()
	asked := &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var review authenticationv1.TokenReview
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&review); err != nil || r.Method != http.MethodPost || r.URL.Path != tokenReviews ||
			review.Kind != "TokenReview" || review.APIVersion != authenticationv1.SchemeGroupVersion.String() ||
			len(review.Spec.Audiences) != 1 || review.Spec.Audiences[0] != audience {
			t.Errorf("the API server was sent %s %s, %+v, %v", r.Method, r.URL, review, err)
		}
		status, known := verdicts[review.Spec.Token]
		w.Header().Set("Content-Type", "application/json")
		if !known {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500}`))
			return
		}
		review.Status = status
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client, asked
}

func account(name string, audiences ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: name}, Audiences: audiences}
}

func TestWhichServiceAccountsMayCall(t *testing.T) {
	t.Parallel()
	client, _ := reviewer(t, map[string]authenticationv1.TokenReviewStatus{
		"good":            account("system:serviceaccount:sumo-k8:schedule", audience, "other"),
		"another account": account("system:serviceaccount:sumo-k8:default", audience),
		"another place":   account("system:serviceaccount:elsewhere:schedule", audience),
		"another purpose": account("system:serviceaccount:sumo-k8:schedule", "https://kubernetes.default.svc"),
		"no audience":     account("system:serviceaccount:sumo-k8:schedule"),
		"a person":        account("sumo-k8/schedule", audience),
		"expired":         {Error: "token is expired"},
		"contradictory":   {User: authenticationv1.UserInfo{Username: "system:serviceaccount:sumo-k8:schedule"}, Audiences: []string{audience}},
	})
	a := NewAccounts(client, audience, []string{"sumo-k8/submit", "sumo-k8/schedule"}, time.Now)
	for token, want := range map[string]problem.Code{
		"good": "", "another account": problem.Forbidden, "another place": problem.Forbidden, "another purpose": problem.Unauthorized,
		"no audience": problem.Unauthorized, "a person": problem.Unauthorized, "expired": problem.Unauthorized,
		"contradictory":        problem.Unauthorized,
		"the API server fails": problem.Unavailable,
	} {
		caller, err := a.Verify(t.Context(), token)
		if got := problem.CodeOf(err); got != want || want == "" && caller != "sumo-k8/schedule" {
			t.Errorf("%s: it is %q, %v; want %q", token, caller, err, want)
		}
	}
}

func TestAGoodTokenIsBelievedForAWhileAndABadOneNever(t *testing.T) {
	t.Parallel()
	client, asked := reviewer(t, map[string]authenticationv1.TokenReviewStatus{
		"good": account("system:serviceaccount:sumo-k8:schedule", audience), "bad": {},
	})
	now := time.Now()
	a := NewAccounts(client, audience, []string{"sumo-k8/schedule"}, func() time.Time { return now })
	for _, step := range []struct {
		token string
		after time.Duration
		asked int32
	}{
		{"good", 0, 1}, {"good", verdictLife - time.Second, 1}, {"good", time.Second, 2}, {"good", time.Second, 2},
		{"bad", 0, 3}, {"bad", 0, 4},
	} {
		now = now.Add(step.after)
		if _, err := a.Verify(t.Context(), step.token); (err == nil) != (step.token == "good") {
			t.Errorf("%+v: %v", step, err)
		}
		if got := asked.Load(); got != step.asked {
			t.Errorf("%+v: the API server was asked %d times", step, got)
		}
	}
}
