package post

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestOnlyPublicAddressesAreCalled(t *testing.T) {
	t.Parallel()
	w := NewWall(nil, nil)
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true, "172.32.0.1": true,
		"192.167.255.255": true, "223.255.255.255": true,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "2a00:1450:4001:80b::200e": true, "::ffff:1.1.1.1": true,

		"0.0.0.0": false, "0.1.2.3": false, // this network
		"10.0.0.1": false, "10.255.255.255": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, // private
		"127.0.0.1": false, "127.255.255.254": false, // loopback
		"169.254.169.254": false, "169.254.170.2": false, "169.254.0.1": false, // link-local, with the clouds' metadata
		"100.64.0.1": false, "100.100.100.200": false, "100.127.255.255": false, // CGNAT
		"168.63.129.16": false, "192.0.0.192": false, // metadata of Azure and Oracle
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "198.18.0.1": false, "192.88.99.1": false,
		"224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "ff0e::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fdff::1": false, // unique local, with AWS's metadata
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": false, "64:ff9b:1::a00:1": false, // NAT64
		"2002:7f00:1::": false, "2002:a00:1::1": false, "2002:101:101::1": false, // 6to4
		"2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:2::1": false, "2001:20::1": false, // Teredo, benchmarks, ORCHID
		"2001:db8::1": false, "3fff::1": false, "100::1": false, "5f00::1": false, "4000::1": false,
		"2606:4700::1%eth0": false,
	} {
		if got := w.Permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is permitted: %t, want %t", addr, got, want)
		}
	}
	if w.Permits(netip.Addr{}) {
		t.Error("the zero address is permitted")
	}
}

func TestTheOperatorOpensNetworks(t *testing.T) {
	t.Parallel()
	w := NewWall([]string{"Hooks.Internal."}, []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00:1::/64")})
	for addr, want := range map[string]bool{
		"10.20.3.4": true, "::ffff:10.20.3.4": true, "10.21.0.1": false, "fd00:1::5": true, "fd00:2::5": false, "1.1.1.1": true,
		"127.0.0.1": false, "64:ff9b::a14:304": false,
	} {
		if got := w.Permits(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is permitted: %t, want %t", addr, got, want)
		}
	}
	for host, want := range map[string]bool{
		"hooks.internal": true, "HOOKS.internal.": true, "x.hooks.internal": false, "internal": false, "": false,
	} {
		if got := w.opens(host); got != want {
			t.Errorf("%q is open: %t, want %t", host, got, want)
		}
	}
}

func TestNoAddressEmbedsAnother(t *testing.T) {
	t.Parallel()
	w := NewWall(nil, nil)
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.Uint32().Draw(t, "v4")
		v4 := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, bits)))
		rest := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "the other bytes"))

		if v4.IsPrivate() || v4.IsLoopback() || v4.IsLinkLocalUnicast() || v4.IsMulticast() || v4.IsUnspecified() {
			if w.Permits(v4) {
				t.Fatalf("%s is permitted", v4)
			}
		}
		if mapped := netip.AddrFrom16(v4.As16()); w.Permits(mapped) != w.Permits(v4) {
			t.Fatalf("%s is permitted: %t, but %s: %t", mapped, w.Permits(mapped), v4, w.Permits(v4))
		}
		// Each has the IPv4 address at its own place; what is around it does not matter.
		embed := func(prefix string, at int, mask byte) netip.Addr {
			p := netip.MustParsePrefix(prefix)
			a := rest
			for i := range p.Bits() / 8 {
				a[i] = p.Addr().As16()[i]
			}
			for i, b := range v4.As4() {
				a[at+i] = b ^ mask
			}
			return netip.AddrFrom16(a)
		}
		for _, a := range []netip.Addr{
			embed("64:ff9b::/96", 12, 0), embed("64:ff9b:1::/48", 6, 0), embed("2002::/16", 2, 0),
			embed("2001::/32", 4, 0), embed("2001::/32", 12, 0xff), embed("::/96", 12, 0), embed("::ffff:0:0:0/96", 12, 0),
		} {
			if w.Permits(a) {
				t.Fatalf("%s is permitted", a)
			}
		}
		if a := netip.AddrFrom16(rest); w.Permits(a) && !a.Is4In6() && rest[0]>>5 != 1 {
			t.Fatalf("%s is permitted, which is outside of global unicast", a)
		}
	})
}
