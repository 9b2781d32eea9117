package post

import (
	"net/netip"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// Wall decides which addresses webhooks may go to: those of the public internet, and those that the operator allows. A tenant names the
// URLs, and our network may reach what the tenant's does not: the cluster, the cloud's metadata service, other tenants.
type Wall struct {
	hosts map[string]bool
	guard *ssrf.Guardian
}

// NewWall makes a Wall with an opening for each of hosts, whatever they resolve to, and for the addresses in networks.
func NewWall(hosts []string, networks []netip.Prefix) *Wall {
	w := &Wall{hosts: map[string]bool{}}
	for _, h := range hosts {
		w.hosts[hostKey(h)] = true
	}
	var v4, v6 []netip.Prefix
	for _, n := range networks {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	// The library refuses IANA's special-purpose networks, and every IPv6 address outside 2000::/3. That leaves no address that embeds
	// an IPv4 address for a gateway to unwrap: IPv4-mapped, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), 6to4, Teredo.
	w.guard = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(azure))
	return w
}

// azure is the one public address of a cloud's own services: Azure's WireServer, which hands out a machine's configuration
// (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
var azure = netip.MustParsePrefix("168.63.129.16/32")

// Permits reports whether webhooks may go to addr, when a host name resolves to it or a URL contains it.
func (w *Wall) Permits(addr netip.Addr) bool {
	return addr.IsValid() && w.guard.SafeAddr(addr.Unmap()) == nil // package net connects to an IPv4-mapped address by IPv4
}

// opens reports whether host is allowed whatever it resolves to.
func (w *Wall) opens(host string) bool { return w.hosts[hostKey(host)] }

// control refuses an address at the moment of connecting to it, as a net.Dialer's Control. An earlier check could see another answer of
// the DNS than the connection does.
func (w *Wall) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !w.Permits(to.Addr()) {
		return errInside
	}
	return nil
}

// hostKey makes spellings of a host name equal.
func hostKey(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }
