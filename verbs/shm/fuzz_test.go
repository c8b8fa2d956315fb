// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/verbs/driver"
)

func FuzzDecodeMessage(f *testing.F) {
	m := message{Kind: kREQ, QPN: 17, PSN: 0xffffff, Key: 0x1234, Len: 4096, PrivateLen: 3, Private: [driver.MaxReplyPrivate]byte{1, 2, 3}}
	f.Add(m.encode())
	f.Add(m.encode()[:40])
	long := m
	long.PrivateLen = 197
	f.Add(long.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.encode(), b) {
			t.Errorf("%x decodes to %+v, which is %x", b, m, m.encode())
		}
		if p := m.param(); len(p.Private) != int(m.PrivateLen) {
			t.Errorf("%d bytes of private data of %d", len(p.Private), m.PrivateLen)
		}
	})
}

// A ring that holds anything is walked to its end or to its first record that
// is wrong: never beyond what was produced, never without getting on.
func FuzzRing(f *testing.F) {
	good := make([]byte, 128)
	(&record{Size: 40, Op: uint8(driver.OpSend), Flags: recFirst | recLast, Total: 40}).put(good)
	f.Add(good, uint64(0), uint64(96))
	f.Add(good, uint64(0), uint64(64))
	(&record{Op: opSkip}).put(good)
	f.Add(good, uint64(ringSize-64), uint64(ringSize))
	f.Add(good, uint64(ringSize-64), uint64(ringSize+32))
	f.Add(good, uint64(64), uint64(0))
	f.Add(good, uint64(0), uint64(1<<63))
	ring := make([]byte, ringSize)
	f.Fuzz(func(t *testing.T, b []byte, tail, head uint64) {
		tail &^= recordSize - 1 // ours: never unaligned
		at := tail % ringSize
		n := copy(ring[at:], b)
		copy(ring, b[n:])
		for tail != head {
			r, payload, ok := nextRecord(ring, tail, head)
			if !ok {
				return
			}
			step := recordSize + pad(r.Size)
			if r.Op == opSkip {
				step = uint64(len(payload))
			}
			if step == 0 || step > head-tail || head-tail > ringSize || uint64(len(payload)) > ringSize {
				t.Fatalf("%+v at %d of %d: a step of %d", r, tail, head, step)
			}
			if r.Op != opSkip && (len(payload) != int(r.Size) || r.Size > chunk || r.Size > r.Total || r.Total > maxMessage) {
				t.Fatalf("%+v, payload of %d", r, len(payload))
			}
			tail += step
		}
	})
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"message", messageSize, 328}, {"ring is aligned", segRing % 4096, 0}, {"owner's line", segAccess + 4, 92},
		{"peer's line", segHead % 64, 0}, {"slots are aligned", tabSlots % slotSize, 0}, {"four chunks", 4 * (chunk + recordSize), ringSize},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
	b := make([]byte, recordSize)
	r := record{Size: 1, Op: 2, Flags: 3, RNR: 4, Imm: 5, Total: 6}
	r.put(b)
	want := []byte{1, 0, 0, 0, 2, 3, 4, 0, 5, 0, 0, 0, 6, 0, 0, 0}
	if diff := cmp.Diff(want, b[:16]); diff != "" || getRecord(b) != r {
		t.Error(diff, getRecord(b))
	}
}
