// SPDX-License-Identifier: Apache-2.0

package fleet

import "time"

// Input is what a Member is told.
type Input interface{ input() }

// Tick is the passing of time; it comes several times in a beat.
type Tick struct{}

// Heard is a report of another monitor. Conn rises from one connection of that
// monitor to the next, as the receiver counts them: what comes late over an
// earlier one is no news, and neither is a Seq that was there before.
type Heard struct {
	Conn   uint64
	Report *Report
}

// Gone is a monitor that does not live, by another's word than its own
// silence: its lease in etcd has ended, or its own Sensor Box says so (§3.5.1).
type Gone struct{ Monitor, Why string }

// Link is what this side knows of its way to a target.
type Link struct {
	Target string
	Path   Path
	Boot   string // "" if it is not known
}

// Busy is a repair that is under way: a target is not given back in its midst.
type Busy struct {
	Target string
	Busy   bool
}

// Granted answers Claim, Renew, or comes unasked where a place renews by itself.
type Granted struct {
	Target string
	Ask    uint64 // of the Claim; a renewal has none
	Epoch  uint64
	Until  time.Duration // by this side's clock, see Proof; 0: until Released
}

// Refused answers a Claim or Renew: another holds the place, or nobody could ask it.
type Refused struct {
	Target string
	Ask    uint64        // of the Claim
	Epoch  uint64        // of the Renew
	Lost   bool          // not only not got now: what was held is gone
	Holder string        // if it is known
	Left   time.Duration // of the holder's lease, if it has one
	Why    string
}

// Released answers Yield: nothing of this side's is written any more.
type Released struct {
	Target string
	Epoch  uint64 // of the Yield
}

// Leave is the wish to end: everything is given up.
type Leave struct{}

func (Tick) input()     {}
func (Heard) input()    {}
func (Gone) input()     {}
func (Link) input()     {}
func (Busy) input()     {}
func (Granted) input()  {}
func (Refused) input()  {}
func (Released) input() {}
func (Leave) input()    {}

// Action is what a Member asks its driver to do.
type Action interface{ action() }

// Claim asks for the writer's place, with an epoch above all it knows. It is
// answered once, with Granted or Refused, which repeat Ask: the answer to an
// earlier question must not be taken for that to this one.
type Claim struct {
	Target string
	Ask    uint64
}

// Renew asks for the rest of a lease again. It may be answered, as Claim is.
type Renew struct {
	Target string
	Epoch  uint64
}

// Serve begins the work of an owner.
type Serve struct {
	Target string
	Epoch  uint64
}

// Yield ends the work of an owner and gives the place up. It is answered once,
// with Released, and soon, also where the place cannot be reached.
type Yield struct {
	Target string
	Epoch  uint64
	Heir   string // who should be next, "" if nobody is known
	Why    string
}

// Tell is a report to all others.
type Tell struct{ Report *Report }

func (Claim) action() {}
func (Renew) action() {}
func (Serve) action() {}
func (Yield) action() {}
func (Tell) action()  {}
