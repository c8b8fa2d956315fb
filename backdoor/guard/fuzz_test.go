// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/binary"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
)

// FuzzAccess lets three monitors do anything. The bytes are requests of 12 bytes
// and their data; what is carried out lies in the slots of whose it is.
func FuzzAccess(f *testing.F) {
	a := asker{boot: [16]byte{1}}
	var seed []byte
	for _, rs := range [][]Request{a.lock(1, "lock", nil), a.lock(2, "lock", nil), a.kill(1, 7, 8), a.kill(2, 7, 8), a.knob(1, nil), a.own(1, "own", nil)} {
		for _, r := range rs {
			seed = append(seed, byte(r.Monitor), byte(r.Op), byte(r.Kind), 0)
			seed = binary.LittleEndian.AppendUint32(seed, uint32(r.Off))
			seed = binary.LittleEndian.AppendUint32(seed, uint32(len(r.Data)))
			seed = append(seed, r.Data...)
		}
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, in []byte) {
		g, err := New(Policy{
			Monitors: map[uint32]Monitor{0: all(0), 1: all(1), 2: all(2)},
			Writes: map[uint32]Agreement{
				uapi.KindLockReq: {K: 2, Window: time.Second}, uapi.KindKillReq: {K: 2, Window: time.Second},
				uapi.KindKnobReq: {K: 3, Window: time.Second}, uapi.KindDevice: {K: 2, Window: time.Second},
			},
			Reads: map[uint32]Agreement{uapi.KindMemory: {K: 2, Window: time.Second}},
		})
		if err != nil {
			t.Fatal(err)
		}
		g.Boot(a.boot)
		now := time.Duration(0)
		for len(in) >= 12 {
			r := Request{Monitor: uint32(in[0]), Op: Op(in[1]), Kind: uint32(in[2]), Off: uint64(binary.LittleEndian.Uint32(in[4:]))}
			n := min(int(binary.LittleEndian.Uint32(in[8:])&0xffff), len(in)-12)
			r.Addr, r.Len, r.Data = r.Off, uint64(n), in[12:12+n]
			now += time.Duration(in[3]) * 10 * time.Millisecond
			in = in[12+n:]
			checkPuts(t, g.Access(now, &r))
		}
		g.Tick(now + time.Hour)
	})
}

func checkPuts(t *testing.T, v Verdict) {
	for _, p := range v.Apply {
		if slotted(p.Kind) && !inOwnArea(p.Kind, p.Monitor, p.Off, uint64(len(p.Data))) {
			t.Fatalf("%+v", p)
		}
	}
	if v.Act < Pass || v.Act > Refuse {
		t.Fatalf("no verdict: %+v", v)
	}
}

// FuzzAdmit: only who has the key is let in, and every answer can be sent.
func FuzzAdmit(f *testing.F) {
	h := uapi.Hello{Magic: uapi.HelloMagic, Major: uapi.VersionMajor, Monitor: 1, Counter: 5}
	h.Sign(testKey(1), [16]byte{1})
	f.Add(h.Encode())
	f.Add(append(h.Encode(), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := New(Policy{Monitors: map[uint32]Monitor{1: all(1)}})
		if err != nil {
			t.Fatal(err)
		}
		g.Boot([16]byte{1})
		got, d := g.Admit(0, b)
		if d == nil && (!got.SignedWith(testKey(1)) || got.Monitor != 1 || got.BootID != [16]byte{1}) {
			t.Fatalf("admitted %+v", got)
		}
		if d == nil {
			if _, d := g.Admit(0, b); d == nil || d.Reason != uapi.DenyCounter {
				t.Fatalf("the recording was answered with %+v", d)
			}
			return
		}
		if len(d.Encode()) > uapi.DenialMax || d.Reason == 0 {
			t.Fatalf("denied with %+v", d)
		}
	})
}
