// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lazystate/internal/seqnum"
)

func spoken() (all []Opcode) {
	for o := range 256 {
		if Opcode(o).Props() != 0 {
			all = append(all, Opcode(o))
		}
	}
	return all
}

// drawPacket draws a packet whose fields all fit; headers that its opcode does
// not have stay zero, as Parse leaves them in a new Packet.
func drawPacket(t *rapid.T) Packet {
	bits := func(n uint, name string) uint64 { return rapid.Uint64Range(0, 1<<n-1).Draw(t, name) }
	p := Packet{BTH: BTH{
		Opcode:    rapid.SampledFrom(spoken()).Draw(t, "opcode"),
		Solicited: rapid.Bool().Draw(t, "se"), MigReq: rapid.Bool().Draw(t, "migreq"),
		FECN: rapid.Bool().Draw(t, "fecn"), BECN: rapid.Bool().Draw(t, "becn"), AckReq: rapid.Bool().Draw(t, "ackreq"),
		PKey: uint16(bits(16, "pkey")), DestQP: uint32(bits(24, "qp")), PSN: seqnum.NewPSN(uint32(bits(24, "psn"))),
	}}
	if p.Opcode.Is(PropRETH) {
		p.RETH = RETH{bits(63, "va"), uint32(bits(32, "rkey")), uint32(bits(32, "len"))}
	}
	if p.Opcode.Is(PropAtomicETH) {
		p.Atomic = AtomicETH{bits(63, "va"), uint32(bits(32, "rkey")), bits(63, "swap"), bits(63, "compare")}
	}
	if p.Opcode.Is(PropAETH) {
		p.AETH = AETH{Syndrome(bits(8, "syndrome")), uint32(bits(24, "msn"))}
	}
	if p.Opcode.Is(PropDETH) {
		p.DETH = DETH{uint32(bits(32, "qkey")), uint32(bits(24, "srcqp"))}
	}
	if p.Opcode.Is(PropAtomicAckETH) {
		p.AtomicAck = bits(63, "orig")
	}
	if p.Opcode.Is(PropImm) {
		p.Imm = uint32(bits(32, "imm"))
	}
	if p.Opcode.Is(PropIETH) {
		p.InvRKey = uint32(bits(32, "inv"))
	}
	n := 0
	if p.Opcode == OpCNP {
		n = CNPLen
	} else if p.Opcode.Is(PropPayload) {
		n = rapid.IntRange(0, 4096).Draw(t, "payload")
	}
	p.Payload = make([]byte, n)
	for i := range p.Payload {
		p.Payload[i] = byte(i * 7)
	}
	return p
}

func TestPacketRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPacket(t)
		b := make([]byte, Len(p.Opcode, len(p.Payload))+8)
		for i := range b {
			b[i] = 0xee // what a buffer held before must not shine through
		}
		n := p.Put(b)
		if n != Len(p.Opcode, len(p.Payload)) {
			t.Fatalf("Put wrote %d bytes, Len says %d", n, Len(p.Opcode, len(p.Payload)))
		}
		for i := range int(p.Pad) {
			if b[n-ICRCLen-1-i] != 0 {
				t.Fatal("the pad is not zero")
			}
		}
		for _, c := range b[n-ICRCLen:] {
			if c != 0xee {
				t.Fatal("Put wrote behind the pad")
			}
		}
		var q Packet
		if err := q.Parse(b[:n]); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, q); d != "" {
			t.Fatal(d)
		}
	})
}

func TestNothingOnThePathAllocates(t *testing.T) {
	f := mustFlow(t, "10.77.0.1:49152", "10.77.0.2:4791")
	p := Packet{BTH: BTH{Opcode: OpWriteOnlyImm}, Payload: make([]byte, 1021)}
	b := make([]byte, MaxPacket)
	if n := testing.AllocsPerRun(100, func() {
		n := p.Put(b)
		f.Seal(b[:n], 3)
		var q Packet
		if err := q.Parse(b[:n]); err != nil {
			t.Fatal(err)
		}
		if _, ok := f.CheckUnknownID(b[:n]); !ok {
			t.Fatal("wrong ICRC")
		}
		if err := q.Parse(b[:n-1]); err == nil {
			t.Fatal("an odd length was taken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMalformedPackets(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      Malformed
	}{
		{"empty", "", ErrTruncated},
		{"no ICRC", "1140ffff 00000011 00125043", ErrTruncated},
		{"AETH is the ICRC", "1140ffff 00000011 00125043 1f000001", ErrTruncated},
		{"pad without payload", "0430ffff 00000011 00125043 1f000001", ErrTruncated},
		{"pad into the RETH", "0c30ffff 00000011 00125043 00000000 00000000 00000000 00000000 1f000001", ErrTruncated},
		{"version 1", "0401ffff 00000011 00125043 1f000001", ErrVersion},
		{"reserved opcode 15", "1500ffff 00000011 00125043 1f000001", ErrOpcode},
		{"unreliable connection", "2400ffff 00000011 00125043 1f000001", ErrOpcode},
		{"not a multiple of four", "0400ffff 00000011 00125043 1f000001 00", ErrLength},
		{"acknowledge with payload", "1140ffff 00000011 00125043 1f000001 00000000 d0740588", ErrLength},
		{"acknowledge with pad", "1170ffff 00000011 00125043 1f000001 00000000 d0740588", ErrLength},
		{"CNP that is too short", "8140ffff 00000011 00125043 00000000 00000000 d0740588", ErrLength},
		{"longer than any", "0400ffff 00000011 00125043" + strings.Repeat("00000000", MaxPacket/4), ErrLength},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		if err := p.Parse(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want.Error() == "" || c.want >= NumMalformed {
			t.Errorf("%s: no text", c.name)
		}
	}
}

// The table's header lengths are those of the headers that it names.
func TestOpcodeTableIsConsistent(t *testing.T) {
	for _, o := range spoken() {
		n := BTHLen
		for p, size := range map[Props]int{PropDETH: 8, PropRETH: 16, PropAtomicETH: 28, PropAETH: 4, PropAtomicAckETH: 8, PropImm: 4, PropIETH: 4} {
			if o.Is(p) {
				n += size
			}
		}
		if n != o.HeaderLen() || n > MaxHeader {
			t.Errorf("%v: headers of %d bytes, table says %d", o, n, o.HeaderLen())
		}
		if o != OpCNP && o.Is(PropRequest) == o.Is(PropResponse) {
			t.Errorf("%v: request or response?", o)
		}
		if strings.HasPrefix(o.String(), "opcode") {
			t.Errorf("%#x has no name", uint8(o))
		}
		for word, p := range map[string]Props{"FIRST": PropFirst, "LAST": PropLast, "ONLY": PropFirst | PropLast,
			"SEND": PropSend, "WRITE": PropWrite, "READ": PropRead, "IMMEDIATE": PropImm, "INVALIDATE": PropIETH, "RESPONSE": PropResponse} {
			if strings.Contains(o.String(), word) && !o.Is(p) {
				t.Errorf("%v lacks %s", o, word)
			}
		}
	}
	if Opcode(0x15).String() != "opcode 0x15" || Opcode(0x15).HeaderLen() != 0 {
		t.Error("0x15 is spoken")
	}
}

func TestSyndromes(t *testing.T) {
	for s := range 256 {
		kinds := 0
		for _, is := range []bool{Syndrome(s).IsAck(), Syndrome(s).IsRNR(), Syndrome(s).IsNak()} {
			if is {
				kinds++
			}
		}
		if reserved := s&0x60 == 0x40; kinds > 1 || (kinds == 0) != reserved {
			t.Errorf("syndrome %#x is of %d kinds", s, kinds)
		}
	}
	for s, want := range map[Syndrome]string{
		Ack: "ACK", 3: "ACK, credit code 3", RNRNak(14): "RNR NAK, 1.28ms", NakRemoteAccess: "NAK: remote access error",
		0x7f: "reserved syndrome 0x7f", 0x40: "reserved syndrome 0x40",
	} {
		if s.String() != want {
			t.Errorf("%#x is %q, want %q", uint8(s), s, want)
		}
	}
}

func TestTimerCodes(t *testing.T) {
	for code := uint8(2); code < 32; code++ {
		if RNRTimer(code) <= RNRTimer(code-1) {
			t.Errorf("RNR timer %d is not longer than the one before", code)
		}
	}
	// Table 45's corners, and bits beyond the code's five.
	for code, want := range map[uint8]time.Duration{0: 655360, 1: 10, 14: 1280, 31: 491520, 32 + 14: 1280} {
		if got := RNRTimer(code); got != want*time.Microsecond {
			t.Errorf("RNR timer %d is %v", code, got)
		}
	}
	for code, want := range map[uint8]time.Duration{0: 4096, 14: 67108864, 31: 4096 << 31, 32 + 14: 67108864} {
		if got := Timeout(code); got != want {
			t.Errorf("timeout %d is %v", code, got)
		}
	}
}
