package rest

import (
	"context"
	"crypto/sha256"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Limits protect the service from its callers, and the callers from each other. They count in memory, each instance of a
// function for itself: a count that is shared would cost a write to the database on every call, more than most calls
// themselves. So they bound what one instance has to bear; the limit on submissions, which is shared, is job.Admission's.
type Limits struct {
	// CallsPerSecond of one tenant; 0 for no limit.
	CallsPerSecond int
	// WrongKeysPerMinute from one address answer 401, more answer 429; 0 for no limit.
	WrongKeysPerMinute int
	// ConcurrentUploads of one tenant; 0 for no limit.
	ConcurrentUploads int
	// MinUploadRate is the least rate of an upload over any minute, in bytes a second; 0 requires only that something arrives.
	MinUploadRate int64
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
}

const (
	// maxRemembered bounds how many tenants, addresses and keys an instance remembers, in a few MiB. What is forgotten
	// begins anew with a full allowance.
	maxRemembered = 10_000
	// burstSeconds is the allowance of calls that gathers while a tenant makes none: a page that opens, or a script that
	// begins, makes many calls at once.
	burstSeconds = 2
)

// gate admits callers with a valid key, as often as the limits allow.
type gate struct {
	keys      Keys
	calls     *buckets // by tenant
	wrongKeys *buckets // by client address
	uploads   *fairness.Tally
	// owners are the tenants of keys that were right a moment ago, by the key's hash; an operator's is "". They spare a
	// refused call its look-up.
	owners *lru.Cache[[sha256.Size]byte, string]
	// turns serializes the look-ups of unknown keys from addresses that have recently sent wrong ones, in the order of arrival.
	// A valid key must not be refused because of wrong ones from the same address, and only a look-up distinguishes the two.
	// Keys are too long to guess at any rate, but guesses could keep others from the database: turns leave them one of its
	// connections.
	turns *semaphore.Weighted
}

func newGate(keys Keys) *gate {
	return &gate{
		keys:      keys,
		calls:     newBuckets(float64(keys.Limits.CallsPerSecond), burstSeconds*keys.Limits.CallsPerSecond),
		wrongKeys: newBuckets(float64(keys.Limits.WrongKeysPerMinute)/60, keys.Limits.WrongKeysPerMinute),
		uploads:   &fairness.Tally{Most: keys.Limits.ConcurrentUploads},
		owners:    remembered[[sha256.Size]byte, string](),
		turns:     semaphore.NewWeighted(1),
	}
}

// admit identifies the owner of a key by check, which returns the id of a tenant or "" for operators. asks says that check queries
// the database or the API server rather than deciding from the key itself.
func (g *gate) admit(ctx huma.Context, key string, asks bool, check func() (owner string, err error)) error {
	if key == "" {
		_, err := check()
		return err
	}
	digest := sha256.Sum256([]byte(key))
	r, _ := humago.Unwrap(ctx)
	address := clientAddress(r, g.keys.Limits.TrustedProxies)
	owner, known := g.owners.Get(digest)
	if known {
		if err := g.count(ctx.Context(), owner); err != nil {
			return err
		}
	} else if asks && g.wrongKeys.spent(address) {
		if err := g.turns.Acquire(ctx.Context(), 1); err != nil {
			return err // the client has gone
		}
		defer g.turns.Release(1)
	}
	owner, err := check()
	switch {
	case err == nil && known:
		return nil
	case err == nil:
		g.owners.Add(digest, owner)
		return g.count(ctx.Context(), owner)
	case problem.CodeOf(err) == problem.Unauthorized:
		g.owners.Remove(digest)
		if wait := g.wrongKeys.take(address); wait > 0 {
			zerolog.Ctx(ctx.Context()).Warn().Str("client", address).Msg("too many wrong keys")
			return problem.New(problem.RateLimited, "This key is not valid, and more than %d invalid keys came from your address within a minute. "+
				"Check the key, and retry in %s.", g.keys.Limits.WrongKeysPerMinute, inSeconds(wait)).WithRetryAfter(wait)
		}
	}
	return err
}

// count takes one call from a tenant's allowance.
func (g *gate) count(ctx context.Context, owner string) error {
	if owner == "" {
		return nil // operators are few, and call when something is broken
	}
	logTenant(ctx, owner)
	if wait := g.calls.take(owner); wait > 0 {
		return problem.New(problem.RateLimited, "You are making more than %d calls a second, the most that one tenant may make. "+
			"Retry in %s; to follow a job, use its log stream or GET /jobs/{id}?wait=30s instead of polling.",
			g.keys.Limits.CallsPerSecond, inSeconds(wait)).WithRetryAfter(wait)
	}
	return nil
}

// inSeconds is d as Retry-After gives it.
func inSeconds(d time.Duration) string {
	return (time.Duration(math.Ceil(d.Seconds())) * time.Second).String()
}

// buckets are token buckets by name, in bounded memory. Nil buckets never run empty.
type buckets struct {
	perSecond rate.Limit
	burst     int
	byName    *lru.Cache[string, *rate.Limiter]
}

func newBuckets(perSecond float64, burst int) *buckets {
	if perSecond <= 0 {
		return nil
	}
	return &buckets{perSecond: rate.Limit(perSecond), burst: burst, byName: remembered[string, *rate.Limiter]()}
}

func remembered[K comparable, V any]() *lru.Cache[K, V] {
	cache, err := lru.New[K, V](maxRemembered)
	if err != nil {
		panic(err) // only for a size below one
	}
	return cache
}

func (b *buckets) of(name string) *rate.Limiter {
	if limiter, ok := b.byName.Get(name); ok {
		return limiter
	}
	limiter := rate.NewLimiter(b.perSecond, b.burst)
	if earlier, ok, _ := b.byName.PeekOrAdd(name, limiter); ok {
		return earlier
	}
	return limiter
}

// take takes a token, or says how long until there is one.
func (b *buckets) take(name string) time.Duration {
	if b == nil {
		return 0
	}
	now := time.Now()
	reservation := b.of(name).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// spent reports whether the bucket is not full: tokens were taken recently.
func (b *buckets) spent(name string) bool {
	return b != nil && b.of(name).Tokens() < float64(b.burst)
}

// siteBits is the part of an IPv6 address that belongs to one site (RFC 6177): a client with one of its addresses has them all.
const siteBits = 64

// clientAddress is where r came from, as far as that can be known: the nearest address on its way that is not a trusted proxy. A
// client can write anything into X-Forwarded-For, but each proxy appends the address of its own client.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(address, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = hop.Unmap().WithZone("")
	}
	if address.Is6() {
		site, _ := address.Prefix(siteBits) // fails beyond 128 bits only
		return site.String()
	}
	return address.String()
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	for _, prefix := range trusted {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
