// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"time"
)

// Syndrome is the first byte of an AETH (table 43): the kind in bits 6:5, a
// value below.
type Syndrome uint8

const (
	// Ack acknowledges without end-to-end credits: the requester sends as it likes.
	Ack Syndrome = 0x1f

	NakPSNSequence    Syndrome = 0x60
	NakInvalidRequest Syndrome = 0x61
	NakRemoteAccess   Syndrome = 0x62
	NakRemoteOp       Syndrome = 0x63
	NakInvalidRD      Syndrome = 0x64
)

// RNRNak says that the receiver is not ready; timer is a code for RNRTimer.
func RNRNak(timer uint8) Syndrome { return 0x20 | Syndrome(timer&0x1f) }

// IsAck reports whether all up to the PSN has arrived.
func (s Syndrome) IsAck() bool { return s&0x60 == 0 }

// IsRNR reports whether the receiver is not ready; Value is the timer code.
func (s Syndrome) IsRNR() bool { return s&0x60 == 0x20 }

// IsNak reports whether the request was refused: one of the Nak constants, or
// a reserved code.
func (s Syndrome) IsNak() bool { return s&0x60 == 0x60 }

// Value returns the credit count, timer code or NAK code.
func (s Syndrome) Value() uint8 { return uint8(s & 0x1f) }

// String names the syndrome.
func (s Syndrome) String() string {
	switch {
	case s == Ack:
		return "ACK"
	case s.IsAck():
		return fmt.Sprintf("ACK, credit code %d", s.Value())
	case s.IsRNR():
		return fmt.Sprintf("RNR NAK, %v", RNRTimer(s.Value()))
	case s.IsNak() && s <= NakInvalidRD:
		return "NAK: " + [...]string{"PSN sequence error", "invalid request", "remote access error", "remote operational error", "invalid RD request"}[s.Value()]
	}
	return fmt.Sprintf("reserved syndrome %#02x", uint8(s))
}

// rnrTimers is table 45 in microseconds.
var rnrTimers = [32]uint32{
	655360, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920,
	2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720, 40960, 61440, 81920, 122880, 163840, 245760, 327680, 491520,
}

// RNRTimer returns the time that an RNR NAK's code asks to wait for.
func RNRTimer(code uint8) time.Duration {
	return time.Duration(rnrTimers[code&0x1f]) * time.Microsecond
}

// Timeout returns the time of a five-bit exponent as the specification uses
// it for acknowledgements and the connection manager: 4.096 us x 2^code.
func Timeout(code uint8) time.Duration { return 4096 << (code & 0x1f) }
