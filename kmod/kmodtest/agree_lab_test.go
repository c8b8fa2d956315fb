// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab/armed"
)

// three monitors, of which two must agree.
var three = armed.Keys{0: {10}, 1: {11}, 2: {12}}

// policy gives keys and a policy file's text to the module.
func (k *loaded) policy(t *testing.T, keys armed.Keys, text string) {
	t.Helper()
	if err := armed.GiveKeys(t.Context(), k.vm, keys); err != nil {
		t.Fatal(err)
	}
	const file = "/tmp/policy"
	if err := k.vm.WriteFile(t.Context(), file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.vm.Must(t.Context(), armed.Agent, "--keys-only", "--keys", armed.KeysFile, "--policy", file); err != nil {
		t.Fatal(err)
	}
}

// propose writes a proposal as it stands, in its two writes.
func (k *loaded) propose(t *testing.T, i uint32, p uapi.Proposal) {
	t.Helper()
	area, err := k.target.Region(uapi.KindProposals)
	if err != nil {
		t.Fatal(err)
	}
	off := (uint64(p.Monitor)*uapi.Proposals + uint64(i)) * uapi.ProposalSize
	b := p.Encode()
	const data, commit = uapi.ProposalDataOff, uapi.ProposalCommitOff
	if err := k.target.Do(t.Context(), area.Write(off, b[:data+int(min(p.Len, uapi.ProposalData))]), area.Write(off+commit, b[commit:commit+4])); err != nil {
		t.Fatal(err)
	}
}

// proposal is a signed one of a monitor's, with these bytes.
func (k *loaded) proposal(m, kind uint32, data []byte, change ...func(*uapi.Proposal)) uapi.Proposal {
	seq := uint64(time.Now().UnixNano()) | 1
	p := uapi.Proposal{Monitor: m, Kind: kind, Len: uint32(len(data)), Seq: seq, Commit: uint32(seq)}
	copy(p.Data[:], data)
	for _, f := range change {
		f(&p)
	}
	p.Sign(three[m], k.target.BootID(), 0)
	return p
}

// decided waits for an answer to a proposal that is as wanted.
func (k *loaded) decided(t *testing.T, p uapi.Proposal, want uint32) uapi.ProposalAck {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		var a uapi.ProposalAck
		_, acks := k.region(t, uapi.KindProposalAck)
		if err := a.Decode(acks[uapi.ProposalAcksSlotOff+p.Monitor*uapi.Proposals*uapi.ProposalAckSize:]); err != nil {
			t.Fatal(err)
		}
		if a.SeqLo == uint32(p.Seq) && a.State == want {
			return a
		}
		if time.Now().After(end) || a.SeqLo == uint32(p.Seq) && a.State != uapi.PropPending && a.State != uapi.PropNone {
			t.Fatalf("monitor %d: %s of %d, want %s of %d", p.Monitor, uapi.ProposalStateName(a.State), a.SeqLo, uapi.ProposalStateName(want), uint32(p.Seq))
		}
	}
}

// bodies are the records of kills, cut before what differs between monitors.
func bodies(kills ...backdoor.Kill) []byte {
	var b []byte
	for _, v := range kills {
		s := uapi.KillSlot{StartTime: v.StartTime, PID: v.PID, Signal: 9}
		b = append(b, s.Encode()[:uapi.KillSlotSeqOff]...)
	}
	return b
}

// Nobody waits for the end of such a window: a machine that stands still for
// seconds must not close it between two proposals.
const killsAgreed = "agree kill 2 of 0,1,2 within 60s\n"

// TestAgreement: a hook that two of three must ask for does nothing for one, and
// what two ask for is done once (§3.8).
func TestAgreement(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.unlogged(t)
		k.policy(t, three, killsAgreed)
		pid, victim := k.sleeper(t)
		other, bystander := k.sleeper(t)
		missing := backdoor.Kill{PID: 4194000, StartTime: 1}
		slot0 := k.signal(victim, 9)
		slot0.Sign(three[0], k.target.BootID(), 0)
		if r := k.postKills(t, 0, uint32(slot0.Seq), slot0); r[0] != uapi.ResNotAllowed {
			t.Errorf("one monitor alone: %s", uapi.ResultName(r[0]))
		}
		a := k.proposal(0, uapi.KindKillReq, bodies(victim, missing))
		k.propose(t, 0, a)
		if ack := k.decided(t, a, uapi.PropPending); ack.Agreed != 1 {
			t.Errorf("the first: %+v", ack)
		}
		differs := k.proposal(1, uapi.KindKillReq, bodies(bystander))
		k.propose(t, 0, differs)
		k.decided(t, differs, uapi.PropPending)
		if s := k.state(t, pid); s == "gone" {
			t.Fatal("killed by one monitor")
		}
		b := k.proposal(2, uapi.KindKillReq, bodies(victim, missing))
		k.propose(t, 0, b)
		for _, p := range []uapi.Proposal{a, b} {
			ack := k.decided(t, p, uapi.PropDone)
			if ack.Agreed != 0b101 || ack.Needed != 2 || ack.Count != 2 || ack.Result[0] != uapi.ResDone || ack.Result[1] != uapi.ResESRCH {
				t.Errorf("monitor %d: %+v", p.Monitor, ack)
			}
		}
		if ack := k.decided(t, differs, uapi.PropDisagreed); ack.Agreed != 0b101 {
			t.Errorf("who asked for something else: %+v", ack)
		}
		k.dies(t, pid)
		if s := k.state(t, other); s == "gone" {
			t.Error("what one monitor asked for was done")
		}
		k.counted(t, 1, 1, 0)
		k.logged(t, 1, differs)
	})
}

// counted: agreements, disagreements and windows that closed, since the load.
func (k *loaded) counted(t *testing.T, want ...uint64) {
	t.Helper()
	_, acks := k.region(t, uapi.KindProposalAck)
	for i, w := range want {
		if got := binary.LittleEndian.Uint64(acks[8*i:]); got != w {
			t.Errorf("count %d of the proposals is %d, want %d", i, got, w)
		}
	}
}

// unlogged forgets what other tests left in the machine's log.
func (k *loaded) unlogged(t *testing.T) { k.run(t, "dmesg", "-c") }

// logged: the log has told of so many disagreements since, and the last it names is one of
// these.
func (k *loaded) logged(t *testing.T, want int, last ...uapi.Proposal) {
	t.Helper()
	line := regexp.MustCompile(`backdoor: proposals not agreed with: (\d+); the last: monitor (\d+), kind (\d+), place (\d+)\n`)
	k.eventually(t, fmt.Sprint("the log tells of ", want, " disagreements"), func(*view) bool {
		all, sum := line.FindAllStringSubmatch(k.run(t, "dmesg"), -1), 0
		for _, m := range all {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum < want {
			return false
		}
		said := strings.Join(all[len(all)-1][2:], " ")
		if sum > want || !slices.ContainsFunc(last, func(p uapi.Proposal) bool { return said == fmt.Sprint(p.Monitor, p.Kind, p.Index) }) {
			t.Errorf("the log tells of %d, want %d, the last %s", sum, want, said)
		}
		return true
	})
}

// TestNoAgreement: the window closes, or no majority is possible any more.
// In make test on one kernel: records are read by the same code on both.
func TestNoAgreement(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.unlogged(t)
		k.policy(t, three, "agree kill 2 of 0,1,2 within 300ms\n")
		pid, victim := k.sleeper(t)
		alone := k.proposal(0, uapi.KindKillReq, bodies(victim))
		k.propose(t, 0, alone)
		k.decided(t, alone, uapi.PropExpired)
		late := k.proposal(1, uapi.KindKillReq, bodies(victim))
		k.propose(t, 0, late) // the first has gone
		k.decided(t, late, uapi.PropExpired)
		k.policy(t, three, killsAgreed) // these meet, however slow the machine
		var split []uapi.Proposal
		for m := range uint32(3) {
			v := victim
			v.PID += m
			split = append(split, k.proposal(m, uapi.KindKillReq, bodies(v)))
			k.propose(t, 0, split[m])
		}
		for _, p := range split {
			k.decided(t, p, uapi.PropDisagreed)
		}
		if s := k.state(t, pid); s == "gone" {
			t.Error("killed without an agreement")
		}
		k.counted(t, 0, 3, 2)
		k.logged(t, 3, split...)
	})
}

// TestProposalRecords: what is refused at once, and why.
// In make test on one kernel: records are read by the same code on both.
func TestProposalRecords(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		keys := armed.Keys{0: three[0], 1: three[1], 3: {13}} // slot 2 votes but has no key
		k.policy(t, keys, killsAgreed+"1 all owner,kill\n")
		_, victim := k.sleeper(t)
		body := bodies(victim)
		valid := k.proposal(0, uapi.KindKillReq, body)
		k.propose(t, 0, valid)
		k.decided(t, valid, uapi.PropPending)
		number := func(p *uapi.Proposal) { p.Seq, p.Commit = 5, 5 }
		place := func(p *uapi.Proposal) { p.Index = uapi.KillSlots }
		epoch := func(p *uapi.Proposal) { p.Epoch = 7 }
		for name, c := range map[string]struct {
			monitor, kind uint32
			data          []byte
			before, after func(*uapi.Proposal) // it is signed
			want          uint32
		}{
			"no key":           {2, uapi.KindKillReq, body, nil, nil, uapi.PropNoKey},
			"a wrong tag":      {0, uapi.KindKillReq, body, nil, func(p *uapi.Proposal) { p.Tag++ }, uapi.PropTag},
			"changed bytes":    {0, uapi.KindKillReq, body, nil, func(p *uapi.Proposal) { p.Data[8]++ }, uapi.PropTag},
			"too long":         {0, uapi.KindKillReq, body, nil, func(p *uapi.Proposal) { p.Len = 1 << 20 }, uapi.PropTag},
			"an old number":    {0, uapi.KindKillReq, body, number, nil, uapi.PropSeq},
			"no agreement":     {0, uapi.KindKnobReq, make([]byte, uapi.KnobSlotSeqOff), nil, nil, uapi.PropNotAllowed},
			"no hook":          {0, uapi.KindMemory, body, nil, nil, uapi.PropRange},
			"half a record":    {0, uapi.KindKillReq, body[:9], nil, nil, uapi.PropRange},
			"nothing":          {0, uapi.KindKillReq, nil, nil, nil, uapi.PropRange},
			"no such place":    {0, uapi.KindKillReq, body, place, nil, uapi.PropRange},
			"an owner's epoch": {0, uapi.KindKillReq, body, epoch, nil, uapi.PropEpoch},
			"its policy":       {1, uapi.KindKillReq, body, nil, nil, uapi.PropNotAllowed},
		} {
			t.Run(name, func(t *testing.T) {
				var before []func(*uapi.Proposal)
				if c.before != nil {
					before = append(before, c.before)
				}
				p := k.proposal(c.monitor, c.kind, c.data, before...)
				if c.after != nil {
					c.after(&p)
				}
				k.propose(t, 0, p)
				k.decided(t, p, c.want)
			})
		}
		k.counted(t, 0, 0, 0)
	})
}

// TestAgreedLockAndKnob: the lock is held in the name of who asked first, and
// renewed and released by it alone; a knob is turned once.
// In make test on one kernel: records are read by the same code on both.
func TestAgreedLockAndKnob(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.policy(t, three, "agree lock 2 of 0,1,2 within 60s\nagree knob 3 of 0,1,2 within 60s\n")
		r := uapi.LockReq{Want: uapi.WantLock, Epoch: 77, LeaseMs: 30000, DrainMs: 100, Flags: uapi.LockDrain}
		for _, m := range []uint32{2, 0} {
			p := k.proposal(m, uapi.KindLockReq, r.Encode()[:uapi.LockReqMonitorOff])
			k.propose(t, 0, p)
			if m == 2 {
				k.decided(t, p, uapi.PropPending)
				continue
			}
			if ack := k.decided(t, p, uapi.PropDone); ack.Result[0] != uapi.RefuseNone || ack.Agreed != 0b101 {
				t.Errorf("%+v", ack)
			}
		}
		k.until(t, "the lock is held by monitor 2", func(v *backdoor.LockView) bool {
			return v.State == uapi.LockHeld && v.Holder == 2 && v.Epoch == 77
		})
		alone := uapi.LockReq{Want: uapi.WantFree, Epoch: 77, Monitor: 2, Seq: uint64(time.Now().UnixNano()) | 1}
		alone.Commit = uint32(alone.Seq)
		alone.Sign(three[2], k.target.BootID(), uapi.KindLockReq)
		k.post(t, uapi.KindLockReq, 2, alone)
		k.until(t, "it is released", func(v *backdoor.LockView) bool { return v.State == uapi.LockFree })
		again := alone
		again.Want, again.Epoch, again.LeaseMs, again.Seq = uapi.WantLock, 78, 500, alone.Seq+2
		again.Commit = uint32(again.Seq)
		again.Sign(three[2], k.target.BootID(), uapi.KindLockReq)
		k.post(t, uapi.KindLockReq, 2, again)
		k.until(t, "one monitor alone is refused", func(v *backdoor.LockView) bool {
			return v.RefusedSeq[2] == again.Seq && v.Refusal[2] == uapi.RefuseNotAllowed
		})
		k.agreedKnob(t)
	})
}

func (k *loaded) agreedKnob(t *testing.T) {
	t.Helper()
	const file = "/proc/sys/vm/swappiness"
	want := k.guestNumber(t, file) + 7
	s := uapi.KnobSlot{Knob: uapi.KnobSwappiness, Value: want}
	var last uapi.Proposal
	for m := range uint32(3) {
		last = k.proposal(m, uapi.KindKnobReq, s.Encode()[:uapi.KnobSlotSeqOff])
		k.propose(t, 0, last)
	}
	if ack := k.decided(t, last, uapi.PropDone); ack.Result[0] != uapi.ResQueued {
		t.Errorf("%+v", ack)
	}
	for end := time.Now().Add(time.Minute); k.guestNumber(t, file) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a minute and the knob is not turned")
		}
	}
}

// owner writes a request for ownership as it stands.
func (k *loaded) owner(t *testing.T, r uapi.OwnerReq) {
	t.Helper()
	area, err := k.target.Region(uapi.KindOwnerReq)
	if err != nil {
		t.Fatal(err)
	}
	b, off := r.Encode(), uint64(r.Monitor)*uapi.OwnerReqSize
	const commit = uapi.OwnerReqCommitOff
	if err := k.target.Do(t.Context(), area.Write(off, b[:commit]), area.Write(off+commit, b[commit:commit+4])); err != nil {
		t.Fatal(err)
	}
}

func (k *loaded) claim(m, want, epoch uint32, lease time.Duration) uapi.OwnerReq {
	seq := uint64(time.Now().UnixNano()) | 1
	r := uapi.OwnerReq{Want: want, Epoch: epoch, LeaseMs: uint32(lease / time.Millisecond), Monitor: m, Seq: seq, Commit: uint32(seq)}
	r.Sign(three[m], k.target.BootID())
	return r
}

// owned waits until the owner words say so.
func (k *loaded) owned(t *testing.T, what string, ok func(*uapi.OwnerAck) bool) {
	t.Helper()
	var a uapi.OwnerAck
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		_, b := k.region(t, uapi.KindOwnerAck)
		if err := a.Decode(b); err != nil {
			t.Fatal(err)
		}
		if a.Seq%2 == 0 && ok(&a) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not: %s: %+v", what, a)
		}
	}
}

// TestOwner: one monitor at a time, for a lease, under an epoch that rises; what
// others post meanwhile is refused, and a stale owner's too.
// In make test on one kernel: records are read by the same code on both.
func TestOwner(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.policy(t, three, "2 all all lock\n")
		_, victim := k.sleeper(t)
		refused := func(r uapi.OwnerReq, why uint32) {
			t.Helper()
			k.owner(t, r)
			k.owned(t, uapi.OwnerRefusalName(why), func(a *uapi.OwnerAck) bool {
				return a.RefusedSeq[r.Monitor] == r.Seq && a.Refusal[r.Monitor] == why
			})
		}
		takes := func(r uapi.OwnerReq) {
			t.Helper()
			k.owner(t, r)
			k.owned(t, fmt.Sprintf("monitor %d owns", r.Monitor), func(a *uapi.OwnerAck) bool {
				return a.Owner == r.Monitor && a.Epoch == r.Epoch && a.AcceptedSeq[r.Monitor] == r.Seq
			})
		}
		kill := func(m uint32) uint32 {
			t.Helper()
			s := k.signal(backdoor.Kill{PID: victim.PID, StartTime: victim.StartTime + 1}, 9) // named wrongly: nothing dies
			s.Sign(three[m], k.target.BootID(), 0)
			return k.postKills(t, m, uint32(s.Seq), s)[0]
		}
		if r := kill(1); r != uapi.ResReused {
			t.Errorf("while nobody owns: %s", uapi.ResultName(r))
		}
		refused(k.claim(0, uapi.OwnerTake, 0, time.Minute), uapi.OwnEpoch)
		refused(k.claim(0, uapi.OwnerTake, 1, time.Millisecond), uapi.OwnLease)
		refused(k.claim(2, uapi.OwnerTake, 1, time.Minute), uapi.OwnNotAllowed)
		bad := k.claim(0, uapi.OwnerTake, 1, time.Minute)
		bad.Tag++
		refused(bad, uapi.OwnTag)
		first := k.claim(0, uapi.OwnerTake, 5, time.Minute)
		takes(first)
		replayed := first
		replayed.Commit++ // a new commit word, an old record
		refused(replayed, uapi.OwnSeq)
		refused(k.claim(1, uapi.OwnerTake, 6, time.Minute), uapi.OwnHeld)
		if r := kill(1); r != uapi.ResNotAllowed {
			t.Errorf("another than the owner: %s", uapi.ResultName(r))
		}
		if r := kill(0); r != uapi.ResReused {
			t.Errorf("the owner: %s", uapi.ResultName(r))
		}
		renewal := k.claim(0, uapi.OwnerTake, 5, 400*time.Millisecond)
		k.owner(t, renewal)
		k.owned(t, "it is renewed, and the lease ends", func(a *uapi.OwnerAck) bool { // which may be over at the first look
			return a.AcceptedSeq[0] == renewal.Seq && a.Owner == uapi.OwnerNone && a.Epoch == 5
		})
		refused(k.claim(1, uapi.OwnerTake, 5, time.Minute), uapi.OwnEpoch)
		takes(k.claim(1, uapi.OwnerTake, 6, time.Minute))
		if r := kill(0); r != uapi.ResNotAllowed {
			t.Errorf("the stale owner: %s", uapi.ResultName(r))
		}
		k.owner(t, k.claim(1, uapi.OwnerGive, 6, 0))
		k.owned(t, "it is given up", func(a *uapi.OwnerAck) bool { return a.Owner == uapi.OwnerNone && a.Changes == 2 })
	})
}
