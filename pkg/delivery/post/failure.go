package post

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

var (
	// errInside is the refusal of an address by a Wall.
	errInside = errors.New("the address is not public")
	// errSlow is the cause of a context that ends with its attempt's time.
	errSlow = errors.New("the attempt has taken too long")
	// errDrained ends the reading of an answer whose end is not worth waiting for.
	errDrained = errors.New("the rest of the answer is not read")
)

// failure says why there is no connection to a receiver. The sentence is for the tenant: unlike the cause it names no address.
type failure struct {
	sentence string
	cause    error
}

func (f *failure) Error() string { return f.sentence }
func (f *failure) Unwrap() error { return f.cause }

func unreachable(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errInside):
		return &failure{"The host leads to an address that is not public, so nothing was sent. An operator can allow such receivers with " +
			"WEBHOOK_ALLOW.", err}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &failure{"The host name has no address.", err}
	case errors.As(err, &dns):
		return &failure{"The host name could not be looked up.", err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{"The receiver refuses connections.", err}
	default:
		return &failure{"The receiver cannot be reached.", err}
	}
}

func insecure(err error) error {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return &failure{"The receiver's TLS certificate is not signed by an authority that is trusted here.", err}
	case errors.As(err, &host):
		return &failure{"The receiver's TLS certificate is for another host.", err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &failure{"The receiver's TLS certificate has expired or is not valid yet.", err}
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return &failure{"The receiver's TLS certificate is not valid.", err}
	default:
		return &failure{"The receiver does not complete the TLS handshake.", err}
	}
}
