// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"lazystate/backdoor/uapi"
)

// Op is what a monitor asks for.
type Op uint8

const (
	Read Op = iota + 1
	Write
	Atomic
)

func (o Op) String() string {
	return [...]string{"none", "read", "write", "atomic"}[min(o, Atomic)]
}

// Request is one operation that lies inside a region and that the region's
// permissions allow.
type Request struct {
	Monitor uint32
	Op      Op
	Kind    uint32 // of the region
	Addr    uint64 // as the target names it
	Off     uint64 // in the region
	Len     uint64
	Data    []byte // of a write
}

// Act is what becomes of an operation.
type Act uint8

const (
	Pass     Act = iota + 1 // carry it out
	Keep                    // acknowledge it; only Apply is carried out
	Withhold                // give no answer, as though it had been lost: the asker asks again
	Refuse
)

func (a Act) String() string {
	return [...]string{"none", "pass", "keep", "withhold", "refuse"}[min(a, Refuse)]
}

// Put is a write to be carried out now.
type Put struct {
	Monitor uint32 // whose it is
	Kind    uint32
	Off     uint64 // in the region
	Data    []byte
}

// Verdict is the guard's answer. Apply is in order and comes before whatever
// else is done; a Put of another monitor is one that waited for this request.
type Verdict struct {
	Act   Act
	Why   string
	Apply []Put
}

var pass = Verdict{Act: Pass}

// Guard guards one target. It is not safe for concurrent use.
type Guard struct {
	policy   Policy
	boot     [16]byte
	monitors [uapi.Monitors]*monitor
	agreed   []agreement
	owner    owner
	events   []Event
	lost     int
}

// monitor is what the guard knows of one monitor.
type monitor struct {
	Monitor
	slot     uint32
	counter  uint64            // of its highest hello
	highest  map[uint32]uint64 // sequence number that right tags came with, by kind
	shadow   map[uint32]*shadow
	proposed map[place]*proposal
	held     hold
	reads    map[reading]asked
}

// New seals a policy.
func New(p Policy) (*Guard, error) {
	p, err := p.sealed()
	if err != nil {
		return nil, err
	}
	g := &Guard{policy: p, owner: newOwner(p.Floor)}
	for slot, m := range p.Monitors {
		g.monitors[slot] = &monitor{Monitor: m, slot: slot, counter: p.Floor}
		g.monitors[slot].forget()
	}
	return g, nil
}

// Monitor returns what the policy says about a slot; nil if nothing.
func (g *Guard) Monitor(slot uint32) *Monitor {
	if m := g.monitor(slot); m != nil {
		policy := m.Monitor
		return &policy
	}
	return nil
}

func (g *Guard) monitor(slot uint32) *monitor {
	if slot >= uapi.Monitors {
		return nil
	}
	return g.monitors[slot]
}

// forget drops all that a monitor has asked for.
func (m *monitor) forget() {
	m.shadow, m.proposed, m.held = map[uint32]*shadow{}, map[place]*proposal{}, hold{}
	m.reads, m.highest = map[reading]asked{}, map[uint32]uint64{}
}

// Boot tells the boot that the target is at; zero: its module is not there.
// What was asked of another boot is forgotten; who owns the target stays.
func (g *Guard) Boot(id [16]byte) {
	if id == g.boot {
		return
	}
	g.boot, g.agreed = id, nil
	for _, m := range g.monitors {
		if m != nil {
			m.forget()
		}
	}
}

// Access judges one operation.
func (g *Guard) Access(now time.Duration, r *Request) Verdict {
	m := g.monitor(r.Monitor)
	switch {
	case m == nil:
		return g.refuse(now, r, "no such monitor")
	case r.Kind == 0 || r.Kind > 63:
		return g.refuse(now, r, "no such region")
	case r.Op == Read:
		if m.Read>>r.Kind&1 == 0 {
			return g.refuse(now, r, "its policy has no such region to read")
		}
		return g.read(now, m, r)
	case r.Op == Write:
		return g.write(now, m, r)
	case r.Op == Atomic:
		return g.atomic(now, m, r)
	}
	return g.refuse(now, r, "unknown operation")
}

func (g *Guard) refuse(now time.Duration, r *Request, why string) Verdict {
	g.event(Event{Time: now, Kind: Refused, Monitor: r.Monitor, Region: r.Kind, Op: r.Op, Why: why})
	return Verdict{Act: Refuse, Why: why}
}

// atomic operations have one effect at once: nothing that waits for others or
// that has an owner can be asked for by one.
func (g *Guard) atomic(now time.Duration, m *monitor, r *Request) Verdict {
	why := m.mayWrite(r.Kind)
	if _, agree := g.policy.Writes[r.Kind]; why == "" && (agree || slotted(r.Kind)) {
		why = "not by an atomic operation"
	}
	if why != "" {
		return g.refuse(now, r, why)
	}
	return pass
}

func (g *Guard) write(now time.Duration, m *monitor, r *Request) Verdict {
	if why := m.mayWrite(r.Kind); why != "" {
		return g.refuse(now, r, why)
	}
	if len(r.Data) == 0 {
		return g.refuse(now, r, "no bytes")
	}
	if slotted(r.Kind) && !inOwnArea(r.Kind, m.slot, r.Off, uint64(len(r.Data))) {
		return g.refuse(now, r, "outside its own slots")
	}
	a, agree := g.policy.Writes[r.Kind]
	barred := hook(r.Kind) && g.owner.bars(now, m.slot)
	switch {
	case r.Kind == uapi.KindOwnerReq:
		return g.claim(now, m, r)
	case agree && a.Voters>>m.slot&1 == 0:
		return g.refuse(now, r, "it has no vote on this hook")
	case agree:
		return g.propose(now, m, r, a)
	case barred && r.Kind == uapi.KindLockReq:
		return g.unlock(now, m, r)
	case barred:
		return g.refuse(now, r, g.owner.why())
	}
	return pass
}

// unlock lets a monitor that does not own the target take back its own lock,
// and nothing else: the direction is safe, and the lease would do it anyway.
func (g *Guard) unlock(now time.Duration, m *monitor, r *Request) Verdict {
	rec := m.keep(r)
	switch {
	case rec == nil:
		return Verdict{Act: Keep, Why: "until its commit word"}
	case rec.free:
		return Verdict{Act: Keep, Apply: rec.puts}
	}
	return g.refuse(now, r, g.owner.why())
}

// Tick drops what nobody joined in time, and the ownership whose lease ended.
// It is for the log: every decision looks at the time itself.
func (g *Guard) Tick(now time.Duration) {
	for _, m := range g.monitors {
		if m != nil {
			g.expire(now, m)
			g.expireReads(now, m)
		}
	}
	g.owner.lapse(g, now)
}
