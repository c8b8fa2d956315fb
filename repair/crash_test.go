// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

var errDead = errors.New("this monitor is dead")

// mortalLimit is below the sum of six bombs and the five who live there.
const mortalLimit = 8

// A monitor is killed at every operation of a repair, one after the other. The
// target goes on by itself when the lease ends, at the latest; the log can be
// read up to the kill and has every decision that was carried out; and the
// next monitor finishes the work without killing anybody a second time.
func TestMonitorKilledAtEveryStep(t *testing.T) {
	deadLocked, deadKilling := 0, 0
	for at := 0; ; at++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			m := newMortal(t)
			m.diesAt = m.target.Memory().Ops() + at
			r := m.treat(m.small(), m.event())
			if !m.dead {
				done = true
				if r.Result != Healed {
					t.Errorf("unharmed: %v, %v", r.Result, r.Err)
				}
				return
			}
			if r.Result == Healed {
				t.Errorf("operation %d: a dead monitor calls it healed", at)
			}
			if m.lockedAtDeath {
				deadLocked++
			}
			if len(m.posted) > 0 {
				deadKilling++
			}
			m.thaws(at)
			m.logged(at)
			m.next(at)
		})
		if done {
			t.Logf("%d operations; %d times it died with the lock held, %d times with kills posted", at, deadLocked, deadKilling)
			if deadLocked == 0 || deadKilling == 0 {
				t.Error("the points that matter were not among them")
			}
			return
		}
		if t.Failed() {
			return
		}
	}
}

// mortal is a sick machine and the eyes on what its monitor did before it died.
type mortal struct {
	*sick
	diesAt        int
	dead          bool
	lockedAtDeath bool
	bodies        []uapi.KillSlot // written, not yet posted
	posted        map[ProcessID]int
}

// newFew is a sick machine with few processes: a repair makes few operations, and
// each of them is a run of its own.
func newFew(t *testing.T) *sick {
	t.Helper()
	m := newSick(t, bdtest.WithRAM(2<<20))
	m.target.SetSensor(bdtest.Sensor{ID: m.nprocs, Class: uapi.Level, Limit: mortalLimit, Name: SensorNProcs})
	m.bomb(6)
	m.patient.Lock = defaultLock()
	m.patient.Lock.Lease, m.patient.Lock.Drain = 100*time.Millisecond, 10*time.Millisecond
	return m
}

func newMortal(t *testing.T) *mortal {
	m := &mortal{sick: newFew(t), posted: map[ProcessID]int{}}
	reqs, err := m.patient.Target.Region(uapi.KindKillReq)
	if err != nil {
		t.Fatal(err)
	}
	m.target.Memory().Before(func(i int, op *backdoor.Op) error {
		if m.diesAt > 0 && i >= m.diesAt && !m.dead {
			m.dead = true
			_, m.lockedAtDeath = m.target.LockHolder()
		}
		if m.dead {
			return errDead
		}
		if op.Kind == backdoor.OpWrite && op.Key == reqs.Key && reqs.Contains(op.Addr, uint64(len(op.Buf))) {
			m.wrote(op)
		}
		return nil
	})
	m.log.fail = func([]byte) error {
		if m.dead {
			return errDead
		}
		return nil
	}
	return m
}

// wrote counts a kill as posted when its post word has been written too.
func (m *mortal) wrote(op *backdoor.Op) {
	if len(op.Buf) == 8 {
		for _, s := range m.bodies {
			m.posted[ProcessID{int32(s.PID), time.Duration(s.StartTime)}]++
		}
		m.bodies = nil
		return
	}
	m.bodies = nil
	for b := op.Buf; len(b) >= uapi.KillSlotSize; b = b[uapi.KillSlotSize:] {
		var s uapi.KillSlot
		if err := s.Decode(b); err != nil {
			m.t.Error(err)
		}
		m.bodies = append(m.bodies, s)
	}
}

func (m *sick) small() *ProcRepairHealer {
	h := m.healer()
	h.Policy = policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 4}
	h.Confirm = Confirm{Window: 4 * time.Millisecond, Every: 2 * time.Millisecond}
	return h
}

func (m *sick) event() sensorbox.Event {
	e := m.exceeded()
	e.Limit, e.TargetLimit = mortalLimit, mortalLimit
	return e
}

// thaws lets the lease of the dead pass: nobody may stay frozen.
func (m *mortal) thaws(at int) {
	m.target.Step()
	time.Sleep(m.patient.Lock.Lease + time.Millisecond)
	m.target.Step()
	if _, held := m.target.LockHolder(); held {
		m.t.Errorf("operation %d: still frozen after the lease", at)
	}
}

// logged compares the log, as far as it got, with what was done.
func (m *mortal) logged(at int) {
	steps := m.log.steps(m.t)
	if m.lockedAtDeath && !slices.Contains(steps, "freeze") || len(m.posted) > 0 && !slices.Contains(steps, "kill") {
		m.t.Errorf("operation %d: frozen %v, %d posted, and the log has only %q", at, m.lockedAtDeath, len(m.posted), steps)
	}
}

// next is the monitor that is started in place of the dead one.
func (m *mortal) next(at int) {
	m.dead, m.diesAt = false, 0
	target, err := backdoor.Open(m.t.Context(), m.target.Memory())
	if err != nil {
		m.t.Fatalf("operation %d: %v", at, err)
	}
	m.patient.Target, m.patient.Audit = target, NewAudit(m.log)
	r := m.treat(m.small(), m.event())
	if r.Result != Healed && r.Result != NothingToDo || m.count(bomber) != 0 {
		m.t.Errorf("operation %d: the next monitor says %v, %v; %d bombs are left", at, r.Result, r.Err, m.count(bomber))
	}
	for id, n := range m.posted {
		if n > 1 {
			m.t.Errorf("operation %d: %v was killed %d times", at, id, n)
		}
	}
	m.innocent()
}
