package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Key is what is stored about an API key: never the key itself.
type Key struct {
	ID        string // part of the key, or made from its hash, so that a look-up is one indexed read
	TenantID  string
	Name      string // the owner's word for it
	Hint      string // the first characters of the key, to distinguish keys in listings
	Hash      []byte // SHA-256 of the whole key. The secret has 160 random bits, so a slow hash would add nothing.
	CreatedAt time.Time
	ExpiresAt *time.Time // nil: never
}

// A key reads sk-<id><secret><checksum>, in base 62 so that a double click selects all of it. The checksum lets scanners
// and us recognise a mistyped or made-up key without asking the database.
const (
	keyPrefix      = "sk-"
	keyIDLength    = 12 // 71 bits: unique among all keys ever made
	secretLength   = 27 // 160 bits
	checksumLength = 6  // CRC-32 in base 62
	keyLength      = len(keyPrefix) + keyIDLength + secretLength + checksumLength
	hintLength     = len(keyPrefix) + 5
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewKey makes a key for a tenant out of random, which must be cryptographically strong. The first result is the key
// itself: it is shown once and kept nowhere.
func NewKey(random io.Reader, tenantID, name string, now time.Time) (string, Key, error) {
	body, err := randomBase62(random, keyIDLength+secretLength)
	if err != nil {
		return "", Key{}, fmt.Errorf("making an API key: %w", err)
	}
	text := keyPrefix + body + checksum(body)
	sum := sha256.Sum256([]byte(text))
	return text, Key{
		ID:        body[:keyIDLength],
		TenantID:  tenantID,
		Name:      name,
		Hint:      text[:hintLength],
		Hash:      sum[:],
		CreatedAt: now,
	}, nil
}

// ParseKey takes apart what a client sent. It answers problem.Unauthorized for anything that can be neither a key of ours nor an
// imported one.
func ParseKey(text string) (id string, hash []byte, err error) {
	if len(text) != keyLength {
		if ImportedKeyFault(text) != "" {
			return "", nil, ErrUnknownKey()
		}
		digest := sha256.Sum256([]byte(text))
		return importedKeyID(digest[:]), digest[:], nil
	}
	body, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return "", nil, ErrUnknownKey()
	}
	body, sum := body[:keyIDLength+secretLength], body[keyIDLength+secretLength:]
	// A forger can compute the checksum of any bytes; those outside the alphabet must not reach the database.
	if checksum(body) != sum || strings.ContainsFunc(body, outsideBase62) {
		return "", nil, ErrUnknownKey()
	}
	digest := sha256.Sum256([]byte(text))
	return body[:keyIDLength], digest[:], nil
}

// The predecessor's keys read <prefix><characters>, both of the operator's choosing; sk- and 32 letters and digits unless set.
const (
	// leastImportedKey leaves 100 random bits behind the usual prefix. The keys of the sample tenants in the predecessor's schema,
	// which are public, are shorter.
	leastImportedKey = 20
	mostImportedKey  = 200
	importedKeyName  = "imported"
	// importedIDLength is how many bytes of the hash are the id: as unique among all keys as a UUID.
	importedIDLength = 16
)

// ImportedKeyFault says why a key of the predecessor cannot go on working, as the end of a sentence about it; empty if it can. Its
// length distinguishes it from ours, so that a mistyped key of ours is never looked up.
func ImportedKeyFault(text string) string {
	switch {
	case len(text) < leastImportedKey:
		return fmt.Sprintf("has fewer than %d characters, so that it could be guessed", leastImportedKey)
	case len(text) > mostImportedKey:
		return fmt.Sprintf("has more than %d characters", mostImportedKey)
	case len(text) == keyLength:
		return fmt.Sprintf("has %d characters, like the keys of this service, and could be taken for one", keyLength)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "has a space or a character outside ASCII"
	}
	return ""
}

// HashImportedKey returns what is kept of a key of the predecessor: its hash, and its first characters, a quarter at most.
func HashImportedKey(text string) (hash []byte, hint string) {
	digest := sha256.Sum256([]byte(text))
	return digest[:], text[:min(hintLength, len(text)/4)]
}

// ImportedKey is the record of a key of the predecessor. Its id is not part of the key, but comes from the hash.
func ImportedKey(hash []byte, hint, tenantID string) Key {
	return Key{ID: importedKeyID(hash), TenantID: tenantID, Name: importedKeyName, Hint: hint, Hash: hash}
}

func importedKeyID(hash []byte) string {
	return importedKeyName + "-" + hex.EncodeToString(hash[:importedIDLength])
}

// ErrUnknownKey is the one answer to every invalid key, whatever is wrong with it.
func ErrUnknownKey() error {
	return problem.New(problem.Unauthorized, "This API key is not valid. Send a current key as 'Authorization: Bearer sk-…'; "+
		"an operator can issue a new one with POST /auth/regenerate-key.")
}

func checksum(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	var out [checksumLength]byte
	for i := range out {
		out[checksumLength-1-i] = base62[n%62]
		n /= 62
	}
	return string(out[:])
}

func outsideBase62(r rune) bool { return !strings.ContainsRune(base62, r) }

// randomBase62 draws without bias: bytes of 248 and above, the largest multiple of 62, are discarded.
func randomBase62(random io.Reader, n int) (string, error) {
	out := make([]byte, 0, n)
	var block [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(random, block[:]); err != nil {
			return "", err
		}
		for _, b := range block {
			if b < 248 && len(out) < n {
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out), nil
}
