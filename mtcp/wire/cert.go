// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/dchest/siphash"

	"lazystate/internal/seqnum"
)

// CertLen is the length of a certificate.
const CertLen = 8

// Certificate shows that a client has this connection and this generation of
// its session. It is SipHash-2-4 under a key of the server that issued it, who
// alone can check it: a program in the kernel computes it for the SYN+ACK
// without remembering anything. It cannot be guessed (64 bits, each try is a
// request to S1) but whoever reads the connection's packets has it too (§2.5.2).
type Certificate [CertLen]byte

func (c Certificate) String() string { return hex.EncodeToString(c[:]) }

// Key is the secret of a server.
type Key [16]byte

// Subject is what a certificate binds: the connection as the server sees it,
// with both initial sequence numbers, and which server of its life the session is
// at: 1 where it was accepted.
type Subject struct {
	Client, Server netip.AddrPort
	ISS, IRS       seqnum.Value // the server's and the client's
	Generation     uint32
}

// subjectLen is the length of what is hashed: numbers big endian, IPv4
// addresses mapped into IPv6.
const subjectLen = 48

func (s Subject) bytes() []byte {
	b := make([]byte, 0, subjectLen)
	client, server := s.Client.Addr().As16(), s.Server.Addr().As16()
	b = append(append(b, client[:]...), server[:]...)
	b = binary.BigEndian.AppendUint16(b, s.Client.Port())
	b = binary.BigEndian.AppendUint16(b, s.Server.Port())
	b = binary.BigEndian.AppendUint32(b, uint32(s.ISS))
	b = binary.BigEndian.AppendUint32(b, uint32(s.IRS))
	return binary.BigEndian.AppendUint32(b, s.Generation)
}

// Certify issues a certificate. The 64 bits of the hash are little endian.
func (k Key) Certify(s Subject) Certificate {
	h := siphash.Hash(binary.LittleEndian.Uint64(k[:]), binary.LittleEndian.Uint64(k[8:]), s.bytes())
	var c Certificate
	binary.LittleEndian.PutUint64(c[:], h)
	return c
}

// Equal compares in constant time.
func (c Certificate) Equal(d Certificate) bool { return subtle.ConstantTimeCompare(c[:], d[:]) == 1 }

// String does not show a key.
func (k Key) String() string { return fmt.Sprintf("key (%d bits)", len(k)*8) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ServerID names a server in 4 bytes: CRC-32C over the address (mapped into
// IPv6) and the port. S2 knows the servers it may ask by their addresses, so it
// is a key into that list; a configuration with two of one ID is refused.
func ServerID(a netip.AddrPort) uint32 {
	ip := a.Addr().As16()
	return crc32.Checksum(binary.BigEndian.AppendUint16(ip[:], a.Port()), castagnoli)
}
