// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"testing"
)

var subject = Subject{
	Client: netip.MustParseAddrPort("10.0.0.1:40000"), Server: netip.MustParseAddrPort("10.0.0.2:80"),
	ISS: 0x01020304, IRS: 0xa0b0c0d0, Generation: 3,
}

// A certificate is bound to each thing it names.
func TestCertificateIsBound(t *testing.T) {
	key := Key{1, 2, 3}
	seen := map[Certificate]string{key.Certify(subject): "itself"}
	for name, change := range map[string]func(s *Subject, k *Key){
		"client":      func(s *Subject, _ *Key) { s.Client = netip.MustParseAddrPort("10.0.0.9:40000") },
		"client port": func(s *Subject, _ *Key) { s.Client = netip.MustParseAddrPort("10.0.0.1:40001") },
		"server":      func(s *Subject, _ *Key) { s.Server = netip.MustParseAddrPort("10.0.0.9:80") },
		"server port": func(s *Subject, _ *Key) { s.Server = netip.MustParseAddrPort("10.0.0.2:81") },
		"iss":         func(s *Subject, _ *Key) { s.ISS++ },
		"irs":         func(s *Subject, _ *Key) { s.IRS++ },
		"generation":  func(s *Subject, _ *Key) { s.Generation++ },
		"key":         func(_ *Subject, k *Key) { k[15] = 1 },
		"ends":        func(s *Subject, _ *Key) { s.Client, s.Server = s.Server, s.Client },
		"numbers":     func(s *Subject, _ *Key) { s.ISS, s.IRS = s.IRS, s.ISS },
	} {
		s, k := subject, key
		change(&s, &k)
		c := k.Certify(s)
		if other, dup := seen[c]; dup || c.Equal(key.Certify(subject)) {
			t.Errorf("another %s has the certificate of %s", name, other)
		}
		seen[c] = name
	}
	mapped := subject
	mapped.Client = netip.AddrPortFrom(netip.AddrFrom16(subject.Client.Addr().As16()), subject.Client.Port())
	if !key.Certify(mapped).Equal(key.Certify(subject)) {
		t.Error("an IPv4 address that came out of an IPv6 socket has another certificate")
	}
}

// What is hashed, and one value that must never change: programs in the kernel
// compute the same.
func TestCertificateVector(t *testing.T) {
	if n := len(subject.bytes()); n != subjectLen {
		t.Fatalf("%d bytes are hashed", n)
	}
	key := Key{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if got, want := key.Certify(subject).String(), "78e72af8818abab4"; got != want {
		t.Errorf("certificate %s, want %s", got, want)
	}
	if got, want := ServerID(subject.Server), uint32(0x0ee1f0cc); got != want {
		t.Errorf("server ID %#x, want %#x", got, want)
	}
}
