// Package idempotency makes requests repeatable: an Idempotency-Key stands for what was asked with it the first time.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Lifetime is how long a key keeps answering with what it made.
const Lifetime = 24 * time.Hour

// Request is an Idempotency-Key with the hash of the request it came with.
type Request struct {
	Key         string
	RequestHash []byte
}

// Ledger knows what keys stand for.
type Ledger interface {
	// MadeBy returns the id of what r has made, empty if it stands for nothing yet, or problem.KeyReused when its key came with another
	// request.
	MadeBy(ctx context.Context, tenantID string, r Request) (id string, err error)
}

// Repeated returns what r has made already, which read finds by its id; nil stands for nothing. It is asked before anything about a request
// is judged: limits, settings and what the request names change, and a repeated request is no new one.
func Repeated[T any](
	ctx context.Context, l Ledger, tenantID string, r *Request, read func(ctx context.Context, tenantID, id string) (T, error),
) (made T, found bool, err error) {
	if r == nil {
		return made, false, nil
	}
	id, err := l.MadeBy(ctx, tenantID, *r)
	if err != nil || id == "" {
		return made, false, err
	}
	made, err = read(ctx, tenantID, id)
	return made, true, err
}

// ErrReused says that a key came with another request before.
func ErrReused() *problem.Error {
	return problem.New(problem.KeyReused, "This Idempotency-Key came with a different request before. "+
		"Send a new key with a new request; repeat a request exactly to get its answer again.")
}

// Of ties a key to what was asked for, so that its reuse for something else is noticed. The operation keeps requests of
// different kinds apart; subject is what asked lacks, such as the digest of an upload. Without a key it is nil.
func Of(key, operation string, asked any, subject string) (*Request, error) {
	if key == "" {
		return nil, nil
	}
	raw, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("hashing the request: %w", err)
	}
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte(operation), raw, []byte(subject)}, []byte{0}))
	return &Request{Key: key, RequestHash: sum[:]}, nil
}
