// SPDX-License-Identifier: Apache-2.0

package wire

import "fmt"

// The general services interface, which management datagrams are sent to.
const (
	GSIQPN  = 1
	GSIQKey = 0x80010000

	MADLen = 256
)

const (
	madHeaderLen = 24

	madBaseVersion = 1
	madClassCM     = 7
	madCMVersion   = 2
	madMethodSend  = 3
)

// Attr is what a MAD of the communication manager is (table 105).
type Attr uint16

const (
	AttrClassPortInfo Attr = 0x01
	AttrREQ           Attr = 0x10
	AttrMRA           Attr = 0x11
	AttrREJ           Attr = 0x12
	AttrREP           Attr = 0x13
	AttrRTU           Attr = 0x14
	AttrDREQ          Attr = 0x15
	AttrDREP          Attr = 0x16
	AttrSIDRREQ       Attr = 0x17
	AttrSIDRREP       Attr = 0x18
	AttrLAP           Attr = 0x19
	AttrAPR           Attr = 0x1a
)

var attrNames = [...]string{"REQ", "MRA", "REJ", "REP", "RTU", "DREQ", "DREP", "SIDR_REQ", "SIDR_REP", "LAP", "APR"}

// String returns the specification's name.
func (a Attr) String() string {
	if i := int(a) - int(AttrREQ); i >= 0 && i < len(attrNames) {
		return attrNames[i]
	}
	return fmt.Sprintf("attribute %#04x", uint16(a))
}

// MADHeader is the common header of a MAD (13.4.3), as far as the
// communication manager uses it.
type MADHeader struct {
	Status uint16
	TID    uint64 // transaction; an answer has its request's
	Attr   Attr
}

// CMData is what lies behind the header: one of the messages of chapter 12.
type CMData [MADLen - madHeaderLen]byte

// ParseMAD takes the payload of a datagram to GSIQPN apart: a Send of the
// communication manager's class, version 2, or ErrMAD. The data are a part of b.
func ParseMAD(b []byte) (MADHeader, *CMData, error) {
	if len(b) != MADLen || b[0] != madBaseVersion || b[1] != madClassCM || b[2] != madCMVersion || b[3] != madMethodSend {
		return MADHeader{}, nil, ErrMAD
	}
	h := MADHeader{Status: be.Uint16(b[4:]), TID: be.Uint64(b[8:]), Attr: Attr(be.Uint16(b[16:]))}
	return h, (*CMData)(b[madHeaderLen:]), nil
}

// PutMAD writes the header into b, which has at least MADLen bytes, clears the
// rest, and returns where the message goes.
func PutMAD(b []byte, h MADHeader) *CMData {
	b = b[:MADLen]
	clear(b)
	b[0], b[1], b[2], b[3] = madBaseVersion, madClassCM, madCMVersion, madMethodSend
	be.PutUint16(b[4:], h.Status)
	be.PutUint64(b[8:], h.TID)
	be.PutUint16(b[16:], uint16(h.Attr))
	return (*CMData)(b[madHeaderLen:])
}

// put24 writes three bytes and leaves the fourth of the word.
func put24(b []byte, v uint32) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

func get24(b []byte) uint32 { return be.Uint32(b) >> 8 }
