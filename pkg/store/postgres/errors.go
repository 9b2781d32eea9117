package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// SQLSTATEs with a meaning to us (PostgreSQL manual, appendix A). Those of class SK are the schema's own.
const (
	foreignKeyViolation  = "23503"
	uniqueViolation      = "23505"
	checkViolation       = "23514"
	untranslatable       = "22P05" // \u0000 in JSON
	notInRepertoire      = "22021" // a NUL byte or broken UTF-8 in text
	queryCanceled        = "57014" // statement_timeout, unless we cancelled it
	lockNotAvailable     = "55P03"
	readOnlyTransaction  = "25006" // a standby, just before or after a failover
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	stateMovedBackwards  = "SK001"
)

// retryAfter is about what PostgreSQL needs to restart, and a pooler to notice.
const retryAfter = 5 * time.Second

// translate turns a failure of the database into what it means for a user. The action ("reading a job") goes to the log.
// A nil error and a *problem.Error pass through.
func translate(err error, action string) error {
	if known := (*problem.Error)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	cause := fmt.Errorf("%s: %w", action, err)
	if unreachable(err) {
		return problem.Wrap(cause, problem.Unavailable,
			"The database is not available at the moment. Try again in a few seconds.").WithRetryAfter(retryAfter)
	}
	switch violation(err) {
	case uniqueViolation:
		return problem.Wrap(cause, problem.Exists, "This id is already taken. Choose another one.")
	case checkViolation:
		return problem.Wrap(cause, problem.Invalid, "A value is out of its range. Check the numbers in the request.")
	case untranslatable, notInRepertoire:
		return problem.Wrap(cause, problem.Invalid,
			"A text contains a NUL character or is not UTF-8. Remove such characters and try again.")
	case stateMovedBackwards:
		return problem.Wrap(cause, problem.Conflict, "The job has moved on in the meantime. Read it again.")
	}
	return cause
}

// orNone is none if err says that there is no row.
func orNone(err, none error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return none
	}
	return err
}

// violation is the SQLSTATE that err carries, or "".
func violation(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// unreachable reports whether err says nothing about the request, only that the database cannot serve it now.
func unreachable(err error) bool {
	// A cancelled call says nothing about the database.
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch code := violation(err); code {
	case queryCanceled, lockNotAvailable, readOnlyTransaction, serializationFailure, deadlockDetected:
		return true
	case "":
	default:
		// 08 connection, 28 and 3D log-in, 53 resources, 57P shutdown and start-up, 58 system: none is the user's doing.
		for _, class := range []string{"08", "28", "3D", "53", "57P", "58"} {
			if strings.HasPrefix(code, class) {
				return true
			}
		}
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool) || pgconn.SafeToRetry(err)
}
