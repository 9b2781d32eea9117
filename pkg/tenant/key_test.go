package tenant

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

var wellFormedKey = regexp.MustCompile(`^sk-[0-9A-Za-z]{45}$`)

func newKey(t rapid.TB) (string, Key) {
	t.Helper()
	text, key, err := NewKey(rand.Reader, "acme", "default", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return text, key
}

func TestAKeyReadsBackAsWhatIsStoredOfIt(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		text, key := newKey(t)
		if !wellFormedKey.MatchString(text) {
			t.Fatalf("the key %q cannot be selected with a double click", text)
		}
		id, hash, err := ParseKey(text)
		if err != nil || id != key.ID || !bytes.Equal(hash, key.Hash) {
			t.Fatalf("ParseKey(%q) = %q, %x, %v; stored were %q, %x", text, id, hash, err, key.ID, key.Hash)
		}
		whole := sha256.Sum256([]byte(text))
		want := Key{ID: text[3:15], TenantID: "acme", Name: "default", Hint: text[:8], Hash: whole[:], CreatedAt: time.Unix(1, 0)}
		if diff := cmp.Diff(want, key); diff != "" {
			t.Fatal(diff)
		}
		if seen[key.ID] {
			t.Fatalf("the id %s came twice", key.ID)
		}
		seen[key.ID] = true
	}
}

func TestAKeyWithOneCharacterChangedIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, _ := newKey(t)
		changed := []byte(text)
		at := rapid.IntRange(0, len(changed)-1).Draw(t, "at")
		changed[at] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
		wantUnknown(t, string(changed))
	})
}

func TestWhatIsNoKeyIsRefusedInTheSameWords(t *testing.T) {
	t.Parallel()
	text, _ := newKey(t)
	forged := strings.Repeat("\xff", keyIDLength+secretLength)
	for _, bad := range []string{
		"", "sk-", text[:19], " " + text, text + "\n", strings.ToUpper(text), "pk-" + text[3:], keyPrefix + forged + checksum(forged),
		text[:30] + " ", text[:30] + "\x00", text[:30] + "\xff", text[:30] + "ä", strings.Repeat("k", mostImportedKey+1),
	} {
		wantUnknown(t, bad)
	}
}

func TestAnImportedKeyReadsBackAsWhatIsStoredOfIt(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, text := range []string{
		"sk-" + strings.Repeat("a", 32), "sk-" + strings.Repeat("a", 31) + "b", "prefix_of-ours." + strings.Repeat("Z", 32),
		strings.Repeat("k", leastImportedKey), strings.Repeat("k", keyLength-1), strings.Repeat("k", keyLength+1),
		strings.Repeat("k", mostImportedKey),
	} {
		if fault := ImportedKeyFault(text); fault != "" {
			t.Errorf("the key %q %s", text, fault)
		}
		key := ImportedKey(hashed(text), hintOf(text), "acme")
		id, hash, err := ParseKey(text)
		if whole := sha256.Sum256([]byte(text)); err != nil || id != key.ID || !bytes.Equal(hash, key.Hash) || !bytes.Equal(hash, whole[:]) {
			t.Errorf("ParseKey(%q) = %q, %x, %v; stored were %q, %x", text, id, hash, err, key.ID, key.Hash)
		}
		if other := seen[id]; other != "" || strings.Contains(id, text) {
			t.Errorf("%q has the id %q, as has %q", text, id, other)
		}
		if 4*len(key.Hint) > len(text) || !strings.HasPrefix(text, key.Hint) {
			t.Errorf("%q is shown as %q", text, key.Hint)
		}
		seen[id] = text
	}
}

func hashed(text string) []byte { hash, _ := HashImportedKey(text); return hash }

func hintOf(text string) string { _, hint := HashImportedKey(text); return hint }

func TestAKeyThatCannotBeImportedSaysWhy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"key-of-a-sample-123":                         "fewer than 20",
		"sk-" + strings.Repeat("a", 45):               "has 48 characters, like the keys of this service",
		strings.Repeat("k", 201):                      "more than 200",
		"sk-" + strings.Repeat("a", 16) + " b":        "space",
		"sk-" + strings.Repeat("a", 16) + "\u00fcber": "outside ASCII",
	} {
		if got := ImportedKeyFault(text); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func wantUnknown(t rapid.TB, key string) {
	t.Helper()
	id, hash, err := ParseKey(key)
	if diff := cmp.Diff(ErrUnknownKey().Error(), errorText(err)); diff != "" || id != "" || hash != nil {
		t.Errorf("ParseKey(%q) = %q, %x, %v", key, id, hash, err)
	}
	if problem.CodeOf(err) != problem.Unauthorized {
		t.Errorf("ParseKey(%q) has the code %s", key, problem.CodeOf(err))
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestKeysAreNotMadeWithoutRandomness(t *testing.T) {
	t.Parallel()
	broken := errors.New("no entropy")
	text, _, err := NewKey(iotest.ErrReader(broken), "acme", "default", time.Now())
	if text != "" || !errors.Is(err, broken) {
		t.Errorf("NewKey() = %q, %v", text, err)
	}
}

// Bytes from 248 on would make the first characters of the alphabet more likely than the others.
func TestRandomnessIsNotBiased(t *testing.T) {
	t.Parallel()
	block := make([]byte, 64)
	for i := range block {
		block[i] = byte(192 + i) // 192…247 are used, 248…255 are thrown away
	}
	body, err := randomBase62(bytes.NewReader(append(block, block...)), 60)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 0, 60)
	for i := range 60 {
		want = append(want, base62[(192+i%56)%62])
	}
	if diff := cmp.Diff(string(want), body); diff != "" {
		t.Error(diff)
	}
}

// FuzzParseKey holds that whatever a client sends is either refused as unauthorised, or has the form of our keys or that of
// imported ones.
func FuzzParseKey(f *testing.F) {
	text, _ := newKey(f)
	nul := strings.Repeat("\x00", keyIDLength+secretLength)
	for _, seed := range []string{"", "sk-", text, text[:20], text + "x", keyPrefix + nul + checksum(nul)} {
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, forge bool) {
		if body, ok := strings.CutPrefix(text, keyPrefix); forge && ok && len(body) >= keyIDLength+secretLength {
			text = keyPrefix + body[:keyIDLength+secretLength] + checksum(body[:keyIDLength+secretLength])
		}
		id, hash, err := ParseKey(text)
		if err != nil {
			if problem.CodeOf(err) != problem.Unauthorized {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if len(text) != keyLength {
			if fault := ImportedKeyFault(text); fault != "" || id != ImportedKey(hash, "", "").ID {
				t.Errorf("ParseKey(%q) = %q, and the key %s", text, id, fault)
			}
			return
		}
		if whole := sha256.Sum256([]byte(text)); !wellFormedKey.MatchString(text) || id != text[3:15] || !bytes.Equal(hash, whole[:]) {
			t.Errorf("ParseKey(%q) = %q, %x", text, id, hash)
		}
	})
}
