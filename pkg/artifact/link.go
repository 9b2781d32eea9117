package artifact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// Link grants access to a part of an object for a while, without credentials. S3 signs links to whole objects only, so this one leads to
// ourselves.
type Link struct {
	Key    string `json:"k"`
	Offset int64  `json:"o"` // where the part begins
	Size   int64  `json:"n"` // bytes
	Name   string `json:"f"` // of the file that the part is
	SHA256 string `json:"s"` // of the part, in hexadecimal
	// Expires is when the link stops working, in seconds since 1970.
	Expires int64 `json:"e"`
}

// Sign returns l as a token for an address. Only those who have the secret can make one.
func (l Link) Sign(secret []byte) string {
	text, _ := json.Marshal(l) // strings and numbers
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(signature(secret, text))
}

func signature(secret, text []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	return mac.Sum(nil)
}

// ReadLink returns what Sign has signed with the same secret, as long as it works.
func ReadLink(token string, secret []byte, now time.Time) (l Link, err error) {
	payload, signed, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	mac, err2 := base64.RawURLEncoding.DecodeString(signed)
	if err != nil || err2 != nil || !hmac.Equal(mac, signature(secret, text)) || json.Unmarshal(text, &l) != nil {
		return Link{}, problem.New(problem.Forbidden, "This link is not valid. List the job's results for a new one.")
	}
	if now.Unix() >= l.Expires {
		return Link{}, problem.New(problem.Forbidden, "This link has expired. List the job's results for a new one.")
	}
	return l, nil
}
