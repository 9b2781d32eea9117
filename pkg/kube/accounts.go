package kube

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	tokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews"
	// accountPrefix is what the API server puts before namespace:name of a service account.
	accountPrefix = "system:serviceaccount:"
	// verdictLife is how long a token that was good is believed without asking again. It is how long a token of a pod
	// or account that was deleted may still be used.
	verdictLife = 30 * time.Second
	// maxVerdicts is far more than there are callers with tokens that are valid at the same time.
	maxVerdicts = 1000
)

// Accounts reads from a token which service account calls, and lets those in that may. Only good verdicts are kept, under
// the token's hash; a token itself is never kept.
type Accounts struct {
	client   rest.Interface
	audience string
	callers  []string
	now      func() time.Time
	good     *lru.Cache[[sha256.Size]byte, verdict]
}

type verdict struct {
	caller string
	until  time.Time
}

// NewAccounts lets the callers in, each a namespace/name, with tokens that were made for audience.
func NewAccounts(client rest.Interface, audience string, callers []string, now func() time.Time) *Accounts {
	good, err := lru.New[[sha256.Size]byte, verdict](maxVerdicts)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Accounts{client: client, audience: audience, callers: callers, now: now, good: good}
}

// Verify returns the namespace/name of the service account that token is of: problem.Unauthorized when it is of none or for
// another audience, problem.Forbidden when the account is not one of the callers.
func (a *Accounts) Verify(ctx context.Context, token string) (caller string, err error) {
	digest := sha256.Sum256([]byte(token))
	if v, known := a.good.Get(digest); known && a.now().Before(v.until) {
		return v.caller, nil
	}
	asked := a.now()
	if caller, err = a.review(ctx, token); err != nil {
		return "", err
	}
	if !slices.Contains(a.callers, caller) {
		return "", problem.New(problem.Forbidden,
			"The service account %s may not make this call. RECONCILE_CALLERS names those that may.", caller)
	}
	a.good.Add(digest, verdict{caller, asked.Add(verdictLife)})
	return caller, nil
}

func (a *Accounts) review(ctx context.Context, token string) (account string, err error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	review := authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{a.audience}},
	}
	if err := a.client.Post().AbsPath(tokenReviews).Body(&review).Do(ctx).Into(&review); err != nil {
		return "", Failed(err, "review a token")
	}
	status := review.Status
	name, isAccount := strings.CutPrefix(status.User.Username, accountPrefix)
	// An authenticator without support for audiences names none: such a token was not made for us.
	if !status.Authenticated || !isAccount || !slices.Contains(status.Audiences, a.audience) {
		return "", problem.New(problem.Unauthorized, "This is no valid token of a service account for the audience %s.", a.audience)
	}
	return strings.Replace(name, ":", "/", 1), nil
}
