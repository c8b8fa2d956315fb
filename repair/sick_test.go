// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

var key = uapi.Key{1, 2, 3}

// inBubble is a test whose waits cost no time: the machine's own doing, leases and
// windows run by a clock that goes on when nobody has anything to do. A busy host
// is no slower by it.
func inBubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// sick is a synthetic machine whose NPROCS sensor is true, and whose bomb, if
// one is set off, refills whenever the machine is not frozen.
type sick struct {
	t       *testing.T
	target  *bdtest.Target
	patient *Patient
	log     *logBuffer
	nprocs  uint32
	oom     uint32
	free    uint32

	mu     sync.Mutex
	refill int // processes the bomb keeps up
	sets   map[uint32]uint64
}

const (
	bomber   = 65534
	limitOf  = 50
	database = 26
)

func newSick(t *testing.T, opts ...bdtest.Option) *sick {
	t.Helper()
	m := &sick{t: t, log: &logBuffer{}}
	m.target = bdtest.New(append([]bdtest.Option{bdtest.WithKey(0, key)}, opts...)...)
	m.nprocs = m.target.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: limitOf, Name: SensorNProcs})
	m.oom = m.target.SetSensor(bdtest.Sensor{Class: uapi.Pressure, Limit: 1, Name: SensorOOM})
	m.free = m.target.SetSensor(bdtest.Sensor{Class: uapi.Level, Flags: uapi.SensorMin, Name: "FREE", Value: 100000})
	for range 3 {
		m.target.AddProcess(bdtest.Proc{UID: database, Comm: "postgres", Anon: 1000})
	}
	m.target.AddProcess(bdtest.Proc{Comm: "sshd"})
	m.target.AddProcess(bdtest.Proc{Comm: "kworker", KThread: true})
	target, err := backdoor.Open(t.Context(), m.target.Memory())
	if err != nil {
		t.Fatal(err)
	}
	m.patient = &Patient{Name: "t1", Target: target, Key: key, Audit: NewAudit(m.log)}
	m.live()
	return m
}

// live is the machine's own doing: it counts its processes and forks.
func (m *sick) live() {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m.moment()
			select {
			case <-done:
				return
			case <-time.After(500 * time.Microsecond):
			}
		}
	}()
	m.t.Cleanup(func() { close(done); <-ended })
}

func (m *sick) moment() {
	user, bombs, parent := 0, 0, 0
	for _, p := range m.target.Processes() {
		if !p.KThread {
			user++
		}
		if p.UID == bomber {
			bombs, parent = bombs+1, p.PID
		}
	}
	m.target.SetValue(m.nprocs, uint64(user))
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, v := range m.sets {
		m.target.SetValue(id, v)
	}
	if bombs < m.refill {
		for range 4 { // by the dead, or by who is held, never: this may be late
			m.target.Fork(parent, bdtest.Proc{UID: bomber, Comm: "bomb"})
		}
	}
}

func (m *sick) bomb(n int) {
	for range n {
		m.target.AddProcess(bdtest.Proc{UID: bomber, Comm: "bomb"})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refill = n
}

func (m *sick) count(uid uint32) int {
	n := 0
	for _, p := range m.target.Processes() {
		if p.UID == uid {
			n++
		}
	}
	return n
}

// innocent fails the test if anybody else was harmed.
func (m *sick) innocent() {
	m.t.Helper()
	if n := m.count(database); n != 3 {
		m.t.Errorf("%d processes of the database are left of 3", n)
	}
	if n := m.count(0); n != 3 {
		m.t.Errorf("%d processes of root are left of 3", n)
	}
	if _, held := m.target.LockHolder(); held {
		m.t.Error("the target was left frozen")
	}
}

func (m *sick) exceeded() sensorbox.Event {
	return sensorbox.Event{Kind: sensorbox.Exceeded, Sensor: SensorNProcs, Class: sensorbox.Level, Value: 400, Limit: limitOf, TargetLimit: limitOf}
}

func (m *sick) healer() *ProcRepairHealer {
	return &ProcRepairHealer{
		Policy: policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 30}, Spare: policy.Spare{UIDs: []uint32{database}},
		Confirm: Confirm{Window: 20 * time.Millisecond, Every: 2 * time.Millisecond},
		Reaper:  Reaper{Settle: 200 * time.Millisecond, Within: 20 * time.Second, Every: 10 * time.Millisecond},
	}
}

// treat runs one incident through a dispatcher and returns its report.
func (m *sick) treat(h Healer, events ...sensorbox.Event) Report {
	m.t.Helper()
	got := make(chan Report, 1)
	d := NewDispatcher(m.patient, Options{Coalesce: time.Millisecond, Attempts: 3, Report: func(r Report) { got <- r }})
	hm := d.NewHealer(h)
	d.RegisterSensor(hm, SensorNProcs)
	d.RegisterSensor(hm, SensorOOM)
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	if n := d.Dispatch(events...); n != 1 {
		m.t.Fatalf("%d healers were called", n)
	}
	select {
	case r := <-got:
		cancel()
		<-ended
		return r
	case <-ctx.Done():
		m.t.Fatal("no report")
		return Report{}
	}
}

// logBuffer is an audit log in memory.
type logBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	fail func(line []byte) error
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(p); err != nil {
			return 0, err
		}
	}
	return l.b.Write(p)
}

// steps returns the steps in the log, in order.
func (l *logBuffer) steps(t *testing.T) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var steps []string
	for _, line := range bytes.Split(bytes.TrimSpace(l.b.Bytes()), []byte("\n")) {
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("audit line %q: %v", line, err)
		}
		if r.Target == "" || r.Boot == "" || r.Incident == "" || r.Time.IsZero() {
			t.Errorf("audit line without its context: %s", line)
		}
		steps = append(steps, r.Step)
	}
	return steps
}

// of returns the first line that the log has of a step.
func (l *logBuffer) of(step string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.b.Bytes()) {
		if bytes.Contains(line, []byte(`"step":"`+step+`"`)) {
			return string(line)
		}
	}
	return ""
}

var errFull = errors.New("no space left on device")
