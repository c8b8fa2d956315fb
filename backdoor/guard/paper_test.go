// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
)

// group is some monitors with equal rights, and the memory behind the guard.
type group struct {
	asker
	t       *testing.T
	g       *Guard
	now     time.Duration
	written map[uint32][]byte // by kind: what reached the target, in order
}

func newGroup(t *testing.T, p Policy, slots ...uint32) *group {
	t.Helper()
	p.Monitors = map[uint32]Monitor{}
	for _, slot := range slots {
		p.Monitors[slot] = Monitor{Key: testKey(slot), Read: ^uint64(0), Write: ^uint64(0), Lock: true, Fence: true, Own: true}
	}
	g, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	gr := &group{t: t, g: g, asker: asker{boot: [16]byte{7}}, written: map[uint32][]byte{}}
	g.Boot(gr.boot)
	return gr
}

// ask runs a monitor's operations and returns the last one's verdict.
func (gr *group) ask(reqs ...Request) (v Verdict) {
	for i := range reqs {
		v = gr.g.Access(gr.now, &reqs[i])
		for _, p := range v.Apply {
			gr.written[p.Kind] = append(gr.written[p.Kind], p.Data...)
		}
		if v.Act == Pass && reqs[i].Op == Write {
			gr.written[reqs[i].Kind] = append(gr.written[reqs[i].Kind], reqs[i].Data...)
		}
	}
	return v
}

func device(slot uint32, addr uint64, b string) Request {
	return Request{Monitor: slot, Op: Write, Kind: uapi.KindDevice, Addr: addr, Off: addr, Len: uint64(len(b)), Data: []byte(b)}
}

func memory(slot uint32, addr, n uint64) Request {
	return Request{Monitor: slot, Op: Read, Kind: uapi.KindMemory, Addr: addr, Off: addr, Len: n}
}

// "write operations used to repair a system by modifying a region of its memory
// must produce the same values when performed from multiple monitors. The target
// BD guard [...] will monitor incoming writes for a particular memory location
// and only perform the write if values agree."
func TestDelayedWriteAgreement(t *testing.T) {
	gr := newGroup(t, Policy{Writes: map[uint32]Agreement{uapi.KindDevice: {K: 2, Window: time.Second}}}, 0, 1)
	if v := gr.ask(device(0, 64, "repair")); v.Act != Keep || len(gr.written) != 0 {
		t.Errorf("one alone: %+v, written %v", v, gr.written)
	}
	if gr.ask(device(1, 64, "damage")); len(gr.written) != 0 {
		t.Errorf("values that do not agree were written: %v", gr.written)
	}
	if gr.ask(device(1, 72, "repair")); len(gr.written) != 0 {
		t.Errorf("another location was written: %v", gr.written)
	}
	gr.ask(device(1, 64, "repair"))
	if got := gr.written[uapi.KindDevice]; !bytes.Equal(got, []byte("repairrepair")) {
		t.Errorf("written %q", got)
	}
}

// "Similarly, remote reads will only be allowed if they match in address and
// length."
func TestReadsMatchInAddressAndLength(t *testing.T) {
	gr := newGroup(t, Policy{Reads: map[uint32]Agreement{uapi.KindMemory: {K: 2, Window: time.Second}}}, 0, 1)
	for _, c := range []struct {
		what string
		r    Request
		want Act
	}{
		{"the first", memory(0, 4096, 64), Withhold},
		{"another address", memory(1, 4104, 64), Withhold},
		{"another length", memory(1, 4096, 65), Withhold},
		{"the same", memory(1, 4096, 64), Pass},
		{"the first, asking again", memory(0, 4096, 64), Pass},
	} {
		if v := gr.ask(c.r); v.Act != c.want {
			t.Errorf("%s: %v, want %v", c.what, v.Act, c.want)
		}
	}
}

// "This simple all-or-none scheme [...] can be trusted to propagate correct
// operations when all or a majority of monitors are correct, according to a
// preset access policy."
func TestMajorityOfCorrectMonitors(t *testing.T) {
	gr := newGroup(t, Policy{Writes: map[uint32]Agreement{uapi.KindKillReq: {K: 3, Window: time.Second}}}, 0, 1, 2, 3, 4)
	gr.ask(gr.kill(3, 1)...) // two are in an attacker's hands
	gr.ask(gr.kill(4, 1)...)
	if len(gr.written) != 0 {
		t.Fatal("a minority has killed pid 1")
	}
	for slot := range uint32(3) {
		gr.ask(gr.kill(slot, 666)...)
	}
	var k uapi.KillSlot
	if err := k.Decode(gr.written[uapi.KindKillReq]); err != nil || k.PID != 666 {
		t.Errorf("the majority's kill: %+v, %v", k, err)
	}
	if _, err := New(Policy{
		Monitors: map[uint32]Monitor{0: {Key: testKey(0)}, 1: {Key: testKey(1)}, 2: {Key: testKey(2)}, 3: {Key: testKey(3)}},
		Writes:   map[uint32]Agreement{uapi.KindKillReq: {K: 2, Window: time.Second}},
	}); err == nil {
		t.Error("half of the monitors were accepted as a majority")
	}
}

// "Placing the guard in firmware and disabling access to its implementation
// after system initialization (even for legitimate users of the system) makes it
// tamper-free."
func TestSealedAtStart(t *testing.T) {
	p := Policy{
		Monitors: map[uint32]Monitor{0: {Key: testKey(0), Read: ^uint64(0), Write: ^uint64(0)}, 1: {Key: testKey(1), Read: ^uint64(0), Write: ^uint64(0)}},
		Writes:   map[uint32]Agreement{uapi.KindDevice: {K: 2, Window: time.Second}},
	}
	g, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	delete(p.Writes, uapi.KindDevice)
	p.Monitors[2] = Monitor{Key: testKey(2), Read: ^uint64(0), Write: ^uint64(0)}
	g.Monitor(1).Write = 0
	r := device(0, 0, "x")
	if v := g.Access(0, &r); v.Act != Keep {
		t.Errorf("agreement was taken out of a sealed policy: %v", v.Act)
	}
	if r := device(2, 0, "x"); g.Access(0, &r).Act != Refuse {
		t.Error("a monitor was put into a sealed policy")
	}
	if r := device(1, 0, "x"); g.Access(0, &r).Act != Keep {
		t.Error("a right was taken out of a sealed policy")
	}
}
