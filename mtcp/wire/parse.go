// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"lazystate/internal/seqnum"
)

// ErrNone says that there is no option of M-TCP among a segment's options.
var ErrNone = errors.New("no option of M-TCP")

// MalformedError is what cannot be understood.
type MalformedError struct {
	What string
	Why  string
}

func (e *MalformedError) Error() string { return fmt.Sprintf("%s: %s", e.What, e.Why) }

// Parse returns the first option of M-TCP among a segment's options. Foreign
// ones before it are skipped: a middlebox may have put them there.
func Parse(opts []byte) (Option, error) {
	for len(opts) > 0 && opts[0] != 0 {
		if opts[0] == 1 { // no operation
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return nil, &MalformedError{"TCP options", "one is longer than all"}
		}
		o := opts[:opts[1]]
		if len(o) >= headLen && o[0] == optionKind && binary.BigEndian.Uint16(o[2:]) == experiment {
			return parse(o)
		}
		opts = opts[len(o):]
	}
	return nil, ErrNone
}

// bodyLen are the lengths behind the head; an Offer's and an Advise's say how
// many servers there are and of which family.
var bodyLen = map[Type]int{TypeRequest: 16, TypeReply: 16, TypeRcvd: 4, TypeRefuse: 2 + CertLen, TypeArrived: 0, TypeWhere: CertLen}

func parse(o []byte) (Option, error) {
	t, b := Type(o[4]&15), o[headLen:]
	if o[4]>>4 != version {
		return nil, &MalformedError{"option of M-TCP", fmt.Sprintf("version %d, this is version %d", o[4]>>4, version)}
	}
	if want, fixed := bodyLen[t]; fixed && len(b) != want {
		return nil, &MalformedError{t.String(), fmt.Sprintf("%d bytes", len(o))}
	}
	switch t {
	case TypeOffer:
		return parseOffer(b)
	case TypeAdvise:
		return parseAdvise(b)
	case TypeRequest:
		return MigrateRequest{number(b), binary.BigEndian.Uint32(b[4:]), Certificate(b[8:])}, nil
	case TypeReply:
		return MigrateReply{number(b), number(b[4:]), Certificate(b[8:])}, nil
	case TypeRcvd:
		return RcvdWhileMigrating{seqnum.Size(binary.BigEndian.Uint32(b))}, nil
	case TypeRefuse:
		return MigrateRefuse{b[0], Reason(b[1]), Certificate(b[2:])}, nil
	case TypeArrived:
		return MigrateArrived{}, nil
	case TypeWhere:
		return MigrateWhere{Certificate(b)}, nil
	}
	return nil, &MalformedError{"option of M-TCP", t.String()}
}

func number(b []byte) seqnum.Value { return seqnum.Value(binary.BigEndian.Uint32(b)) }

func parseOffer(b []byte) (Option, error) {
	if len(b) < 1+CertLen {
		return nil, &MalformedError{"OFFER", fmt.Sprintf("%d bytes", len(b)+headLen)}
	}
	o := Offer{Part: b[0] &^ offerV6 >> 4, Parts: b[0] & 15, Cert: Certificate(b[1 : 1+CertLen])}
	size := 6
	if b[0]&offerV6 != 0 {
		size = 18
	}
	b = b[1+CertLen:]
	if len(b)%size != 0 || o.Part >= o.Parts || o.Parts > 8 {
		return nil, &MalformedError{"OFFER", fmt.Sprintf("part %d of %d, %d bytes of servers", o.Part, o.Parts, len(b))}
	}
	for ; len(b) > 0; b = b[size:] {
		s, err := addrPort(b[:size])
		if err != nil {
			return nil, err
		}
		o.Servers = append(o.Servers, s)
	}
	return o, nil
}

func parseAdvise(b []byte) (Option, error) {
	n := len(b) - 2 - CertLen
	if n != 6 && n != 18 {
		return nil, &MalformedError{"MIGRATE_ADVISE", fmt.Sprintf("%d bytes", len(b)+headLen)}
	}
	target, err := addrPort(b[2+CertLen:])
	if err != nil {
		return nil, err
	}
	return MigrateAdvise{N: b[0], Reason: Reason(b[1]), Cert: Certificate(b[2 : 2+CertLen]), Target: target}, nil
}

func addrPort(b []byte) (netip.AddrPort, error) {
	a, _ := netip.AddrFromSlice(b[:len(b)-2])
	if a.Is4In6() {
		return netip.AddrPort{}, &MalformedError{"server", "an IPv4 address in IPv6's clothes"}
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[len(b)-2:])), nil
}
