package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/certificate"
)

func authority(t *testing.T, dir, name string) *certificate.Authority {
	t.Helper()
	a, err := certificate.OpenAuthority(certificate.In(dir, name), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ensure(t *testing.T, a *certificate.Authority, p certificate.Pair, s certificate.Subject) (text string) {
	t.Helper()
	if err := a.Ensure(p, s); err != nil {
		t.Fatal(err)
	}
	return contents(t, p.Certificate)
}

func contents(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// handshake connects a client to a server and returns how the server sees it.
func handshake(t *testing.T, dir string, server, client certificate.Pair, ca, host string) (user string, groups []string, err error) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(contents(t, certificate.In(dir, ca).Certificate))) {
		t.Fatal("the authority's certificate cannot be read")
	}
	load := func(p certificate.Pair) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := tls.Server(far, &tls.Config{Certificates: load(server), ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert})
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		served <- s.Handshake()
	}()
	err = tls.Client(near, &tls.Config{Certificates: load(client), RootCAs: roots, ServerName: host}).Handshake()
	if err != nil {
		// Closed only then: a server that accepts still sends, and a refusal has to be read to its end.
		near.Close()
	}
	if err := errors.Join(err, <-served); err != nil {
		return "", nil, err
	}
	near.Close()
	subject := s.ConnectionState().PeerCertificates[0].Subject
	return subject.CommonName, subject.Organization, nil
}

func TestCertificatesProveIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := authority(t, dir, "ours"), authority(t, dir, "theirs")
	server, client, stranger := certificate.In(dir, "server"), certificate.In(dir, "client"), certificate.In(dir, "stranger")
	ensure(t, ours, server, certificate.Subject{Name: "server", Hosts: []string{"api.local", "10.96.0.1"}})
	ensure(t, ours, client, certificate.Subject{Name: "system:node:node1", Groups: []string{"system:nodes"}})
	ensure(t, theirs, stranger, certificate.Subject{Name: "system:node:node1", Groups: []string{"system:masters"}})

	for _, host := range []string{"api.local", "10.96.0.1"} {
		user, groups, err := handshake(t, dir, server, client, "ours", host)
		if err != nil || user != "system:node:node1" || len(groups) != 1 || groups[0] != "system:nodes" {
			t.Errorf("as %s: the server sees user %q of groups %q, error %v", host, user, groups, err)
		}
	}
	for what, refused := range map[string]struct {
		server, client certificate.Pair
		host           string
	}{
		"a name that the certificate does not have": {server, client, "elsewhere.local"},
		"a client of another authority":             {server, stranger, "api.local"},
		"a client's certificate as a server's":      {client, client, "api.local"},
		"a server's certificate as a client's":      {server, server, "api.local"},
	} {
		if user, _, err := handshake(t, dir, refused.server, refused.client, "ours", refused.host); err == nil {
			t.Errorf("%s was accepted, as %s", what, user)
		}
	}
}

func TestEnsureKeepsWhatIsRightAndReplacesTheRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := authority(t, dir, "ca")
	subject := certificate.Subject{Name: "server", Groups: []string{"a", "b"}, Hosts: []string{"x.local", "127.0.0.1"}}
	p := certificate.In(dir, "server")
	first := ensure(t, a, p, subject)

	same := certificate.Subject{Name: "server", Groups: []string{"b", "a"}, Hosts: []string{"127.0.0.1", "x.local"}}
	if ensure(t, authority(t, dir, "ca"), p, same) != first {
		t.Error("a certificate that says the same, under the authority read again, was replaced")
	}
	for what, change := range map[string]func() *certificate.Authority{
		"another host":      func() *certificate.Authority { subject.Hosts = append(subject.Hosts, "y.local"); return a },
		"another name":      func() *certificate.Authority { subject.Name = "other"; return a },
		"another group":     func() *certificate.Authority { subject.Groups = []string{"a"}; return a },
		"another authority": func() *certificate.Authority { a = authority(t, dir, "new"); return a },
		"a lost key": func() *certificate.Authority {
			if err := os.Remove(p.Key); err != nil {
				t.Error(err)
			}
			return a
		},
		"a damaged file": func() *certificate.Authority {
			if err := os.WriteFile(p.Certificate, []byte("nothing"), 0o600); err != nil {
				t.Error(err)
			}
			return a
		},
		"the key of another": func() *certificate.Authority {
			if err := certificate.EnsureKey(filepath.Join(dir, "loose.key")); err != nil {
				t.Error(err)
			}
			if err := os.Rename(filepath.Join(dir, "loose.key"), p.Key); err != nil {
				t.Error(err)
			}
			return a
		},
	} {
		before := contents(t, p.Certificate)
		if ensure(t, change(), p, subject) == before {
			t.Errorf("%s: the certificate was kept", what)
		}
		if _, err := tls.LoadX509KeyPair(p.Certificate, p.Key); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEnsureKeyKeepsTheKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.key")
	var texts [2]string
	for i := range texts {
		if err := certificate.EnsureKey(file); err != nil {
			t.Fatal(err)
		}
		texts[i] = contents(t, file)
	}
	if texts[0] != texts[1] {
		t.Error("the key changed: every token that it signed would be refused")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, error %v", info.Mode(), err)
	}
}
