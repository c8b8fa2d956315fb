// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

func TestForkBombIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(400)
		r := m.treat(m.healer(), m.exceeded())
		if r.Result != Healed || r.Err != nil {
			t.Fatalf("result %v, %v; verdict %+v", r.Result, r.Err, r.Verdict)
		}
		if n := m.count(bomber); n != 0 {
			t.Errorf("%d bombs are left", n)
		}
		if r.Killed < 400 || r.Killed != len(r.Outcome.KilledIDs) || r.Outcome.Unread != 0 {
			t.Errorf("killed %d, unread %d", r.Killed, r.Outcome.Unread)
		}
		m.innocent()
		want := []string{"event", "plan", "freeze", "kill", "thaw", "verify", "end"}
		if got := m.log.steps(t); !slices.Equal(got, want) {
			t.Errorf("audit steps %q, want %q", got, want)
		}
	})
}

// Every process of the bomb is the init of a container, which any user can
// make where there are user namespaces; one of the machine's own stays alive.
func TestBombOfInitsIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		own := m.target.AddProcess(bdtest.Proc{UID: bomber, Comm: "service", Container: true})
		for range 200 {
			m.target.AddProcess(bdtest.Proc{UID: bomber, Comm: "bomb", Container: true, UserNS: true})
		}
		r := m.treat(m.healer(), m.exceeded())
		if r.Result != Healed || r.Killed != 200 {
			t.Fatalf("result %v, killed %d: %v", r.Result, r.Killed, r.Err)
		}
		if m.count(bomber) != 1 || !m.target.Alive(own.PID) {
			t.Errorf("%d of the user are left, the container's init lives: %v", m.count(bomber), m.target.Alive(own.PID))
		}
		m.innocent()
	})
}

func TestTwoBombsAreTwoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(100)
		for range 90 {
			m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "other"})
		}
		h := m.healer()
		h.Reaper.Within = time.Minute // which nobody waits for while another is above the limit
		r := m.treat(h, m.exceeded())
		if r.Result != Healed || !slices.Equal(r.Users, []uint32{bomber, 1001}) {
			t.Fatalf("result %v of users %v: %v", r.Result, r.Users, r.Err)
		}
		if took := r.Ended.Sub(r.Began); took > 50*time.Second {
			t.Errorf("healed after %v", took)
		}
		m.innocent()
	})
}

func TestBurstSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(300)
		m.mu.Lock()
		m.refill = 0
		m.mu.Unlock()
		h := m.healer()
		h.Confirm = Confirm{Window: 200 * time.Millisecond, Most: time.Minute, Every: 2 * time.Millisecond}
		looks := 0
		box, err := m.patient.Target.Region(uapi.KindSensorbox)
		if err != nil {
			t.Fatal(err)
		}
		m.target.Memory().Before(func(_ int, op *backdoor.Op) error {
			if op.Key == box.Key {
				looks++
			}
			if looks != 2 {
				return nil
			}
			looks++
			for _, p := range m.target.Processes() { // short jobs that end by themselves
				if p.UID == bomber {
					m.target.RemoveProcess(p.PID)
				}
			}
			m.target.SetValue(m.nprocs, 0) // till the machine counts again
			return nil
		})
		if r := m.treat(h, m.exceeded()); r.Result != NothingToDo || r.Killed != 0 {
			t.Fatalf("result %v, killed %d", r.Result, r.Killed)
		}
		m.innocent()
	})
}

func TestDryRunTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(100)
		m.patient.DryRun = true
		before := m.patient.Target.Stats()
		r := m.treat(m.healer(), m.exceeded())
		if r.Result != DryRun || len(r.Plan.Culprits) < 100 {
			t.Fatalf("result %v, %d culprits, %v", r.Result, len(r.Plan.Culprits), r.Err)
		}
		if w := m.patient.Target.Stats().Sub(before).Writes; w != 0 {
			t.Errorf("a dry run wrote %d times", w)
		}
		if n := m.count(bomber); n < 100 {
			t.Errorf("%d bombs left of 100", n)
		}
	})
}

// A full disk: no decision can be logged, so nothing is done, at each step.
func TestNoLogNoRepair(t *testing.T) {
	for _, step := range []string{"event", "plan", "freeze", "kill"} {
		t.Run(step, inBubble(func(t *testing.T) {
			m := newSick(t)
			m.bomb(100)
			m.log.fail = func(line []byte) error {
				if bytes.Contains(line, []byte(`"step":"`+step+`"`)) {
					return errFull
				}
				return nil
			}
			r := m.treat(m.healer(), m.exceeded())
			if r.Result != Aborted || !errors.Is(r.Err, errFull) || r.Killed != 0 {
				t.Fatalf("result %v, killed %d, %v", r.Result, r.Killed, r.Err)
			}
			if n := m.count(bomber); n < 100 {
				t.Errorf("%d bombs left of 100", n)
			}
			m.innocent()
		}))
	}
	m := newSick(t)
	m.bomb(100)
	m.patient.Audit = nil
	if r := m.treat(m.healer(), m.exceeded()); r.Result != Aborted || r.Killed != 0 {
		t.Errorf("without a log: %v, killed %d", r.Result, r.Killed)
	}
}

// The machine is rebooted, withdrawn or switched off right before each operation
// of a repair, one after the other: the repair aborts, says so, and nothing of what
// is there then is touched.
func TestTargetLostAtEveryStep(t *testing.T) {
	ways := map[string]struct {
		do   func(*bdtest.Target)
		want error
	}{
		"reboot":   {func(t *bdtest.Target) { t.Reboot() }, backdoor.ErrReplaced},
		"withdraw": {func(t *bdtest.Target) { t.Withdraw() }, backdoor.ErrWithdrawn},
		"off":      {func(t *bdtest.Target) { t.PowerOff() }, backdoor.ErrGone},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			var reads, writes int // that the machine was lost before
			for at, lost := 0, true; lost && !t.Failed(); at++ {
				synctest.Test(t, func(t *testing.T) {
					var kind backdoor.OpKind
					if kind, lost = lostBefore(t, at, way.do, way.want); kind == backdoor.OpWrite {
						writes++
					} else if lost {
						reads++
					}
				})
			}
			t.Logf("lost before each of %d reads and %d writes", reads, writes)
			if reads < 20 || writes < 6 { // of the lock, the kills and the release, two each
				t.Error("the points that matter were not among them")
			}
		})
	}
}

// lostBefore has a machine lost before one operation of its repair, and says
// whether the repair came to that one, and what it was.
func lostBefore(t *testing.T, at int, lose func(*bdtest.Target), want error) (kind backdoor.OpKind, lost bool) {
	m := newFew(t)
	at += m.target.Memory().Ops()
	var then [][]byte
	m.target.Memory().Before(func(i int, op *backdoor.Op) error {
		if i == at {
			lose(m.target)
			kind, lost, then = op.Kind, true, m.requests()
		}
		return nil
	})
	r := m.treat(m.small(), m.event())
	time.Sleep(2 * m.patient.Lock.Lease) // whoever renews it would have
	switch {
	case !lost:
		if r.Result != Healed {
			t.Errorf("unharmed: %v, %v", r.Result, r.Err)
		}
	case r.Result != Aborted || !errors.Is(r.Err, want) || r.Verdict != nil && r.Verdict.Healed:
		t.Errorf("lost before operation %d: %v, %v; verdict %+v", at, r.Result, r.Err, r.Verdict)
	case !slices.EqualFunc(then, m.requests(), bytes.Equal):
		t.Errorf("lost before operation %d: what is there now was written to", at)
	}
	return kind, lost
}

// requests is all that a monitor may write.
func (m *sick) requests() (all [][]byte) {
	for _, r := range []struct {
		kind uint32
		size int
	}{{uapi.KindLockReq, uapi.LockReqsSize}, {uapi.KindKillReq, uapi.KillReqsSize}, {uapi.KindKnobReq, uapi.KnobReqsSize}} {
		all = append(all, m.target.Peek(m.target.Area(r.kind), r.size))
	}
	return all
}

func TestRepairNotAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t, bdtest.WithoutRepair())
		m.bomb(60)
		r := m.treat(m.healer(), m.exceeded())
		if r.Result != Aborted || !errors.Is(r.Err, ErrNotAllowed) || r.Attempts != 1 {
			t.Fatalf("result %v after %d attempts: %v", r.Result, r.Attempts, r.Err)
		}
	})
}

// Another monitor holds the lock: this one keeps its hands off.
func TestLockHeldByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := uapi.Key{9}
		m := newSick(t, bdtest.WithKey(1, other))
		m.bomb(60)
		held, err := m.patient.Target.Lock(t.Context(), backdoor.LockOptions{Slot: 1, Key: other})
		if err != nil {
			t.Fatal(err)
		}
		r := m.treat(m.healer(), m.exceeded())
		var refused *backdoor.LockRefusedError
		if r.Result != Aborted || !errors.As(r.Err, &refused) || r.Killed != 0 {
			t.Errorf("result %v, killed %d: %v", r.Result, r.Killed, r.Err)
		}
		if err := held.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// A CPU that was inside the kernel: the view is raw, which is in the outcome, and
// in the audit log with the decision to kill and with what came of it.
func TestRawViewIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.target.CatchCPU(1, uapi.CPUKernel)
		m.bomb(60)
		if r := m.treat(m.healer(), m.exceeded()); r.Result != Healed || !r.Outcome.Raw {
			t.Fatalf("result %v, raw %v: %v", r.Result, r.Outcome.Raw, r.Err)
		}
		for _, step := range []string{"kill", "thaw"} {
			if line := m.log.of(step); !strings.Contains(line, `"raw":true`) {
				t.Errorf("the audit log's %s: %s", step, line)
			}
		}
	})
}

// A CPU held by NMI: kills are deferred to the release and read back then.
func TestDeferredKillsAreReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.target.CatchCPU(1, uapi.CPUNMIIRQOff)
		m.bomb(60)
		r := m.treat(m.healer(), m.exceeded())
		if r.Result != Healed || r.Killed < 60 || r.Outcome.Unread != 0 {
			t.Fatalf("result %v, killed %d, unread %d: %v", r.Result, r.Killed, r.Outcome.Unread, r.Err)
		}
		m.innocent()
	})
}

// The wrong key: every kill is refused, and no success is reported.
func TestRefusedKillsAreNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.patient.Key = uapi.Key{7}
		m.bomb(60)
		if r := m.treat(m.healer(), m.exceeded()); r.Result == Healed || r.Killed != 0 {
			t.Fatalf("result %v, killed %d", r.Result, r.Killed)
		}
		m.innocent()
	})
}

func TestNprocKnobComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.bomb(60)
		h := m.healer()
		h.Reaper.Nproc = 10
		if r := m.treat(h, m.exceeded()); r.Result != Healed {
			t.Fatalf("result %v: %v", r.Result, r.Err)
		}
		if v := m.target.Knob(uapi.KnobUIDNProc); v != 10 {
			t.Errorf("process limit %d", v)
		}
	})
}

// One process is the culprit of POLICY_MAX_RSS; the user's others live.
func TestOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "small", Anon: 10})
		big := m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "big", Swap: 50000})
		h := m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSS, Limit: 1 << 20})
		m.set(m.free, 10)
		m.afterKill(func() { m.set(m.free, 100000) })
		r := m.treat(h, m.pressed())
		if r.Result != Healed || r.Killed != 1 || m.target.Alive(big.PID) {
			t.Fatalf("result %v, killed %d: %v %+v", r.Result, r.Killed, r.Err, r.Verdict)
		}
		if n := m.count(1001); n != 1 {
			t.Errorf("%d of the user's other processes are left", n)
		}
	})
}

func (m *sick) memHealer(p policy.Policy) *MemReclaimHealer {
	return &MemReclaimHealer{
		Policy: p, Spare: policy.Spare{UIDs: []uint32{database}}, Free: []string{"FREE"}, Floor: 1000,
		Confirm: Confirm{Window: 300 * time.Millisecond, Every: 2 * time.Millisecond},
		Reaper:  Reaper{Settle: 200 * time.Millisecond, Within: 20 * time.Second, Every: 10 * time.Millisecond},
	}
}

func (m *sick) set(id uint32, v uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sets == nil {
		m.sets = map[uint32]uint64{}
	}
	m.sets[id] = v
	m.target.SetValue(id, v) // at once: the first look may come before the next moment
}

// afterKill runs do when the first repair has thawed the target.
func (m *sick) afterKill(do func()) {
	m.log.fail = func(line []byte) error {
		if bytes.Contains(line, []byte(`"step":"thaw"`)) {
			do()
		}
		return nil
	}
}

func (m *sick) pressed() sensorbox.Event {
	return sensorbox.Event{Kind: sensorbox.Pressed, Sensor: SensorOOM, Class: sensorbox.Pressure, Since: 2, Limit: 1}
}

// One kill of the kernel's own handler, after which memory is free: no repair.
func TestOneOOMKillSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "hog", Anon: 50000})
		m.set(m.oom, 2)
		r := m.treat(m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSSUID, Limit: 1 << 20}), m.pressed())
		if r.Result != NothingToDo || r.Killed != 0 {
			t.Fatalf("result %v, killed %d", r.Result, r.Killed)
		}
	})
}

// The handler keeps running while memory comes and goes: hogs that respawn.
func TestRespawningHogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		for range 5 {
			m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "hog", Anon: 10, Swap: 20000})
		}
		stop := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
					m.set(m.oom, n)
					m.set(m.free, n%2*5000) // after each kill, for a moment, there is enough
				}
			}
		}()
		quiet := false
		m.afterKill(func() {
			if !quiet {
				quiet = true
				close(stop)
				<-ended
				m.set(m.free, 90000)
			}
		})
		r := m.treat(m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSSUIDSaveUID, Limit: 1 << 20}), m.pressed())
		if r.Result != Healed || r.Killed != 5 {
			t.Fatalf("result %v, killed %d: %v %+v", r.Result, r.Killed, r.Err, r.Verdict)
		}
		m.innocent()
	})
}
