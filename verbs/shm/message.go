// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"lazystate/verbs/driver"
)

type kind uint16

const (
	kHello   kind = 1 + iota // to a device: who asks
	kWelcome                 // its answer, with table, hints, doorbell
	kRegion                  // a registration, with its file
	kRegionEnd
	kOpen   // which queue pair the peer wants to talk to
	kOpened // its segment, or Status

	kREQ // to a listener
	kREP
	kREJ
	kRTU
	kDREQ
)

// message is what goes over the sockets: one size, little endian, fields of
// all kinds side by side.
type message struct {
	Magic   uint32
	Version uint16
	Kind    kind

	GID    driver.GID // of the sender
	QPN    uint32     // of the receiver's queue pair; CM: of the sender's
	Src    uint32     // of the sender's
	PSN    uint32
	Status uint32

	Slot   uint32
	PD     uint32
	Key    uint32
	Access uint32
	Seq    uint64
	Addr   uint64
	Len    uint64
	Off    uint64 // of the first byte in the file

	Responder, Initiator, Retry, RNR, Ack uint8
	PrivateLen                            uint8
	Reason                                uint16
	From, To                              [16]byte
	FromPort, ToPort                      uint16
	Private                               [driver.MaxReplyPrivate]byte
}

var messageSize = binary.Size(message{})

func (m *message) encode() []byte {
	m.Magic, m.Version = magic, version
	b, err := binary.Append(nil, binary.LittleEndian, m)
	if err != nil {
		panic(err) // every field has a fixed size
	}
	return b
}

func decode(b []byte) (*message, error) {
	m := &message{}
	if len(b) != messageSize {
		return nil, fmt.Errorf("message of %d bytes, want %d", len(b), messageSize)
	}
	if _, err := binary.Decode(b, binary.LittleEndian, m); err != nil {
		return nil, err
	}
	if m.Magic != magic || m.Version != version {
		return nil, fmt.Errorf("message of version %d (magic %#x), want %d", m.Version, m.Magic, version)
	}
	if int(m.PrivateLen) > len(m.Private) {
		return nil, fmt.Errorf("%d bytes of private data", m.PrivateLen)
	}
	return m, nil
}

func (m *message) setParam(p driver.ConnParam) {
	m.Responder, m.Initiator, m.Retry, m.RNR, m.Ack = p.ResponderResources, p.InitiatorDepth, p.RetryCount, p.RNRRetry, p.AckTimeout
	m.PrivateLen = uint8(copy(m.Private[:], p.Private))
}

func (m *message) param() driver.ConnParam {
	return driver.ConnParam{
		Private: append([]byte(nil), m.Private[:m.PrivateLen]...), ResponderResources: m.Responder, InitiatorDepth: m.Initiator,
		RetryCount: m.Retry, RNRRetry: m.RNR, AckTimeout: m.Ack,
	}
}

func addrPort(a [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
}
