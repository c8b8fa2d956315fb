// SPDX-License-Identifier: Apache-2.0

package wire

import "fmt"

// Opcode is the first byte of the BTH: transport service in the upper three
// bits, operation below (table 38 of the specification).
type Opcode uint8

// The reliable connection's opcodes, those of the unreliable datagram, and the
// congestion notification of annex A17.
const (
	OpSendFirst          Opcode = 0x00
	OpSendMiddle         Opcode = 0x01
	OpSendLast           Opcode = 0x02
	OpSendLastImm        Opcode = 0x03
	OpSendOnly           Opcode = 0x04
	OpSendOnlyImm        Opcode = 0x05
	OpWriteFirst         Opcode = 0x06
	OpWriteMiddle        Opcode = 0x07
	OpWriteLast          Opcode = 0x08
	OpWriteLastImm       Opcode = 0x09
	OpWriteOnly          Opcode = 0x0a
	OpWriteOnlyImm       Opcode = 0x0b
	OpReadRequest        Opcode = 0x0c
	OpReadResponseFirst  Opcode = 0x0d
	OpReadResponseMiddle Opcode = 0x0e
	OpReadResponseLast   Opcode = 0x0f
	OpReadResponseOnly   Opcode = 0x10
	OpAcknowledge        Opcode = 0x11
	OpAtomicAcknowledge  Opcode = 0x12
	OpCompareSwap        Opcode = 0x13
	OpFetchAdd           Opcode = 0x14
	OpSendLastInv        Opcode = 0x16
	OpSendOnlyInv        Opcode = 0x17
	OpUDSendOnly         Opcode = 0x64
	OpUDSendOnlyImm      Opcode = 0x65
	OpCNP                Opcode = 0x81
)

// Props says what an opcode means for a packet; 0 for one that is not spoken here.
type Props uint32

const (
	PropFirst    Props = 1 << iota // first packet of a message
	PropLast                       // last packet of a message; with PropFirst: the only one
	PropRequest                    // goes to the responder
	PropResponse                   // goes to the requester
	PropSend
	PropWrite
	PropRead
	PropAtomic
	PropPayload // may carry a payload
	PropDETH
	PropRETH
	PropAtomicETH
	PropAETH
	PropAtomicAckETH
	PropImm
	PropIETH
)

const (
	propOnly  = PropFirst | PropLast
	propSend  = PropRequest | PropSend | PropPayload
	propWrite = PropRequest | PropWrite | PropPayload
	propResp  = PropResponse | PropRead | PropPayload
)

type opInfo struct {
	props Props
	hdr   uint8 // bytes of BTH and extension headers
	name  string
}

// ops is indexed by a whole byte, so that a lookup needs no bounds check.
var ops = [256]opInfo{
	OpSendFirst:          {propSend | PropFirst, 12, "SEND_FIRST"},
	OpSendMiddle:         {propSend, 12, "SEND_MIDDLE"},
	OpSendLast:           {propSend | PropLast, 12, "SEND_LAST"},
	OpSendLastImm:        {propSend | PropLast | PropImm, 16, "SEND_LAST_WITH_IMMEDIATE"},
	OpSendOnly:           {propSend | propOnly, 12, "SEND_ONLY"},
	OpSendOnlyImm:        {propSend | propOnly | PropImm, 16, "SEND_ONLY_WITH_IMMEDIATE"},
	OpWriteFirst:         {propWrite | PropFirst | PropRETH, 28, "RDMA_WRITE_FIRST"},
	OpWriteMiddle:        {propWrite, 12, "RDMA_WRITE_MIDDLE"},
	OpWriteLast:          {propWrite | PropLast, 12, "RDMA_WRITE_LAST"},
	OpWriteLastImm:       {propWrite | PropLast | PropImm, 16, "RDMA_WRITE_LAST_WITH_IMMEDIATE"},
	OpWriteOnly:          {propWrite | propOnly | PropRETH, 28, "RDMA_WRITE_ONLY"},
	OpWriteOnlyImm:       {propWrite | propOnly | PropRETH | PropImm, 32, "RDMA_WRITE_ONLY_WITH_IMMEDIATE"},
	OpReadRequest:        {PropRequest | PropRead | propOnly | PropRETH, 28, "RDMA_READ_REQUEST"},
	OpReadResponseFirst:  {propResp | PropFirst | PropAETH, 16, "RDMA_READ_RESPONSE_FIRST"},
	OpReadResponseMiddle: {propResp, 12, "RDMA_READ_RESPONSE_MIDDLE"},
	OpReadResponseLast:   {propResp | PropLast | PropAETH, 16, "RDMA_READ_RESPONSE_LAST"},
	OpReadResponseOnly:   {propResp | propOnly | PropAETH, 16, "RDMA_READ_RESPONSE_ONLY"},
	OpAcknowledge:        {PropResponse | propOnly | PropAETH, 16, "ACKNOWLEDGE"},
	OpAtomicAcknowledge:  {PropResponse | PropAtomic | propOnly | PropAETH | PropAtomicAckETH, 24, "ATOMIC_ACKNOWLEDGE"},
	OpCompareSwap:        {PropRequest | PropAtomic | propOnly | PropAtomicETH, 40, "COMPARE_SWAP"},
	OpFetchAdd:           {PropRequest | PropAtomic | propOnly | PropAtomicETH, 40, "FETCH_ADD"},
	OpSendLastInv:        {propSend | PropLast | PropIETH, 16, "SEND_LAST_WITH_INVALIDATE"},
	OpSendOnlyInv:        {propSend | propOnly | PropIETH, 16, "SEND_ONLY_WITH_INVALIDATE"},
	OpUDSendOnly:         {propSend | propOnly | PropDETH, 20, "UD_SEND_ONLY"},
	OpUDSendOnlyImm:      {propSend | propOnly | PropDETH | PropImm, 24, "UD_SEND_ONLY_WITH_IMMEDIATE"},
	OpCNP:                {propOnly | PropPayload, 12, "CNP"},
}

// Props returns what the opcode means.
func (o Opcode) Props() Props { return ops[o].props }

// Is reports whether the opcode has all the properties.
func (o Opcode) Is(p Props) bool { return ops[o].props&p == p }

// HeaderLen returns the bytes of the BTH and the extension headers, 0 for an
// opcode that is not spoken here.
func (o Opcode) HeaderLen() int { return int(ops[o].hdr) }

// String returns the specification's name.
func (o Opcode) String() string {
	if n := ops[o].name; n != "" {
		return n
	}
	return fmt.Sprintf("opcode %#02x", uint8(o))
}
