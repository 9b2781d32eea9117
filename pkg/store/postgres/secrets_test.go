package postgres

import (
	"bytes"
	"sync"
	"testing"
)

// Instances that start together agree on one secret, and deleting it rotates it.
func TestTheSecretOfLinksIsTheSameForAll(t *testing.T) {
	t.Parallel()
	d := setup(t)
	var mu sync.Mutex
	made := byte(0)
	random := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		made++
		return bytes.Repeat([]byte{made}, 32)
	}
	secrets := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			var err error
			if secrets[i], err = d.LinkSecret(t.Context(), random); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, secret := range secrets {
		if len(secret) != 32 || !bytes.Equal(secret, secrets[0]) {
			t.Errorf("one has %x, another %x", secrets[0], secret)
		}
	}
	if _, err := d.pool.Exec(t.Context(), "DELETE FROM secrets"); err != nil {
		t.Fatal(err)
	}
	if fresh, err := d.LinkSecret(t.Context(), random); err != nil || len(fresh) != 32 || bytes.Equal(fresh, secrets[0]) {
		t.Errorf("after it was deleted the secret is %x, %v", fresh, err)
	}
}
