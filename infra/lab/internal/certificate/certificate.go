// Package certificate issues the lab's own certificate authority and the certificates that it signs.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// lifetime is far longer than a lab stays up.
	lifetime = 365 * 24 * time.Hour
	// renewBefore is the remaining lifetime at which a certificate is renewed: a lab that comes up today still works in a
	// month.
	renewBefore = 30 * 24 * time.Hour
	// backdated allows for a virtual machine whose clock was set back.
	backdated = time.Hour
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Subject is the holder of a certificate.
type Subject struct {
	Name   string   // the user name of a client
	Groups []string // the groups of a client
	Hosts  []string // the names and addresses of a server; none for a client
}

// Pair is the files of a certificate and its key.
type Pair struct{ Certificate, Key string }

// In returns the pair of this name in a folder.
func In(dir, name string) Pair {
	return Pair{Certificate: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

// OpenAuthority reads the authority stored as a pair of files, or makes one when there is none or it expires soon.
func OpenAuthority(p Pair, name string) (*Authority, error) {
	certificate, key, err := read(p)
	if err == nil && time.Until(certificate.NotAfter) > renewBefore {
		return &Authority{certificate, key}, nil
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err = sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority %s: %w", name, err)
	}
	return &Authority{certificate, key}, write(p, certificate, key)
}

// Ensure leaves a certificate for the subject in p. An existing one is kept if it is ours, has the same subject and
// does not expire soon.
func (a *Authority) Ensure(p Pair, s Subject) error {
	if c, _, err := read(p); err == nil && a.fits(c, s) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: s.Name, Organization: s.Groups},
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, host := range s.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{s.use()}
	c, err := sign(template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("make the certificate of %s: %w", s.Name, err)
	}
	return write(p, c, key)
}

func (s Subject) use() x509.ExtKeyUsage {
	if len(s.Hosts) > 0 {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

func (a *Authority) fits(c *x509.Certificate, s Subject) bool {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{s.use()}})
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return err == nil && time.Until(c.NotAfter) > renewBefore && c.Subject.CommonName == s.Name &&
		slices.Equal(slices.Sorted(slices.Values(c.Subject.Organization)), slices.Sorted(slices.Values(s.Groups))) &&
		slices.Equal(slices.Sorted(slices.Values(hosts)), slices.Sorted(slices.Values(s.Hosts)))
}

// EnsureKey leaves a key without a certificate in the file name: the key that signs the tokens of service accounts.
func EnsureKey(name string) error {
	if _, err := readKey(name); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(name, key)
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	// 128 random bits never collide.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-backdated)
	template.NotAfter = time.Now().Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func read(p Pair) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(p.Certificate)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s holds no certificate", p.Certificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := readKey(p.Key)
	if err != nil {
		return nil, nil, err
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		return nil, nil, fmt.Errorf("%s and %s do not belong together", p.Certificate, p.Key)
	}
	return c, key, nil
}

func readKey(name string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", name)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return key, nil
}

func write(p Pair, c *x509.Certificate, key *ecdsa.PrivateKey) error {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	return errors.Join(writeKey(p.Key, key), os.WriteFile(p.Certificate, text, 0o644))
}

func writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
