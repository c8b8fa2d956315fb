// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"strconv"
	"testing"
)

func benchPacket(b *testing.B, payload int) (*Flow, []byte) {
	f, err := NewFlow(netip.MustParseAddrPort("10.77.0.1:49152"), netip.MustParseAddrPort("10.77.0.2:4791"))
	if err != nil {
		b.Fatal(err)
	}
	p := Packet{BTH: BTH{Opcode: OpReadResponseOnly, PKey: DefaultPKey, DestQP: 17}, Payload: make([]byte, payload)}
	buf := make([]byte, Len(p.Opcode, payload))
	f.Seal(buf[:p.Put(buf)], 7)
	return &f, buf
}

var sizes = []int{0, 64, 1024, 4096}

func BenchmarkSeal(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f, pkt := benchPacket(b, n)
			b.SetBytes(int64(len(pkt)))
			for b.Loop() {
				f.Seal(pkt, 7)
			}
		})
	}
}

func BenchmarkCheckUnknownID(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f, pkt := benchPacket(b, n)
			b.SetBytes(int64(len(pkt)))
			for b.Loop() {
				if _, ok := f.CheckUnknownID(pkt); !ok {
					b.Fatal("wrong ICRC")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	_, pkt := benchPacket(b, 4096)
	var p Packet
	for b.Loop() {
		if err := p.Parse(pkt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutHeader(b *testing.B) {
	_, pkt := benchPacket(b, 4096)
	p := Packet{BTH: BTH{Opcode: OpReadResponseOnly, PKey: DefaultPKey, DestQP: 17}}
	for b.Loop() {
		p.PutHeader(pkt, 4096)
	}
}
