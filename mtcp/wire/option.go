// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
)

const (
	optionKind = 253    // RFC 4727, shared by experiment ID (RFC 6994)
	experiment = 0x4d54 // "MT"
	version    = 1      // upper half of the byte that names the type

	offerV6 = 0x80 // in an Offer's first byte: its servers are of IPv6

	headLen = 5  // kind, length, experiment ID, version and type
	MaxLen  = 40 // of all the options of a segment
)

// Type is what an option of M-TCP is.
type Type uint8

// The types there are.
const (
	TypeOffer Type = iota + 1
	TypeRequest
	TypeReply
	TypeRcvd
	TypeAdvise
	TypeRefuse
	TypeArrived
	TypeWhere
)

func (t Type) String() string {
	if t == 0 || t > TypeWhere {
		return fmt.Sprintf("type %d", uint8(t))
	}
	return [...]string{"", "OFFER", "MIGRATE_REQUEST", "MIGRATE_REPLY", "RCVD_WHILE_MIGRATING", "MIGRATE_ADVISE", "MIGRATE_REFUSE", "MIGRATE_ARRIVED", "MIGRATE_WHERE"}[t]
}

// Option is one of M-TCP's options.
type Option interface {
	Type() Type
	body(b []byte) []byte
}

// Offer tells a client where its session may go and what to show there. One
// option holds one IPv4 server beside the standard options of a SYN+ACK and none
// of IPv6; the rest follows on ACKs, Part of Parts.
type Offer struct {
	Part, Parts uint8 // Part counts from 0, Parts is 8 at most
	Cert        Certificate
	Servers     []netip.AddrPort // of one family
}

// MigrateRequest asks S2 for a session. The certificate names the connection:
// addresses would not, behind an address translator.
type MigrateRequest struct {
	Next   seqnum.Value // next^C(t_init)
	Server uint32       // ServerID of S1
	Cert   Certificate
}

// MigrateReply says that the session is at S2.
type MigrateReply struct {
	LSRC, ImplicitAck seqnum.Value
	Cert              Certificate // of the next generation, issued by S2
}

// RcvdWhileMigrating is delta_fixup_rcv: what came from S1 after lsr^C.
type RcvdWhileMigrating struct{ Delta seqnum.Size }

// MigrateAdvise asks the client to move. The certificate shows that it is the
// server who asks; N tells one advice from the next, a repeated one has the same.
type MigrateAdvise struct {
	N      uint8
	Reason Reason
	Cert   Certificate
	Target netip.AddrPort
}

// MigrateRefuse declines an advice (N is the advice's) or, on a RST, a request.
type MigrateRefuse struct {
	N      uint8
	Reason Reason
	Cert   Certificate
}

// MigrateArrived says that the session lives at S2. Its numbers are what it is
// for: from now on a firewall takes S2's for what they are (AppendSYN), and the
// client's agent opens the way out.
type MigrateArrived struct{}

// MigrateWhere asks S1 for a session that the client has left it with, and whose new
// server is silent. S1 answers by an advice (ReasonElsewhere) if it knows, else not.
type MigrateWhere struct{ Cert Certificate }

func (Offer) Type() Type              { return TypeOffer }
func (MigrateRequest) Type() Type     { return TypeRequest }
func (MigrateReply) Type() Type       { return TypeReply }
func (RcvdWhileMigrating) Type() Type { return TypeRcvd }
func (MigrateAdvise) Type() Type      { return TypeAdvise }
func (MigrateRefuse) Type() Type      { return TypeRefuse }
func (MigrateArrived) Type() Type     { return TypeArrived }
func (MigrateWhere) Type() Type       { return TypeWhere }

func (o Offer) body(b []byte) []byte {
	first := o.Part<<4 | o.Parts&15
	if len(o.Servers) > 0 && !o.Servers[0].Addr().Unmap().Is4() {
		first |= offerV6
	}
	b = append(append(b, first), o.Cert[:]...)
	for _, s := range o.Servers {
		b = appendAddrPort(b, s)
	}
	return b
}

func (o MigrateRequest) body(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(o.Next))
	b = binary.BigEndian.AppendUint32(b, o.Server)
	return append(b, o.Cert[:]...)
}

func (o MigrateReply) body(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(o.LSRC))
	b = binary.BigEndian.AppendUint32(b, uint32(o.ImplicitAck))
	return append(b, o.Cert[:]...)
}

func (o RcvdWhileMigrating) body(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(o.Delta))
}

func (o MigrateAdvise) body(b []byte) []byte {
	b = append(b, o.N, byte(o.Reason))
	b = append(b, o.Cert[:]...)
	return appendAddrPort(b, o.Target)
}

func (o MigrateRefuse) body(b []byte) []byte {
	b = append(b, o.N, byte(o.Reason))
	return append(b, o.Cert[:]...)
}

func (MigrateArrived) body(b []byte) []byte { return b }

func (o MigrateWhere) body(b []byte) []byte { return append(b, o.Cert[:]...) }

func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	b = append(b, a.Addr().Unmap().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// Append puts an option behind those in opts. For the kernel's programs it must
// be the first; what follows it goes into opts afterwards.
func Append(opts []byte, o Option) ([]byte, error) {
	if err := check(o); err != nil {
		return opts, err
	}
	start := len(opts)
	b := append(opts, optionKind, 0, experiment>>8, experiment&0xff, version<<4|byte(o.Type()))
	b = o.body(b)
	if len(b) > MaxLen {
		return opts, fmt.Errorf("%s: %d bytes of options, a segment holds %d", o.Type(), len(b), MaxLen)
	}
	b[start+1] = byte(len(b) - start)
	return b, nil
}

// check refuses what the layout cannot say.
func check(o Option) error {
	switch o := o.(type) {
	case Offer:
		if o.Part >= o.Parts || o.Parts > 8 {
			return fmt.Errorf("OFFER: part %d of %d", o.Part, o.Parts)
		}
		for _, s := range o.Servers {
			if !s.IsValid() || s.Addr().Unmap().Is4() != o.Servers[0].Addr().Unmap().Is4() {
				return fmt.Errorf("OFFER: servers %v are not of one family", o.Servers)
			}
		}
	case MigrateAdvise:
		if !o.Target.IsValid() {
			return fmt.Errorf("MIGRATE_ADVISE: no target")
		}
	}
	return nil
}
