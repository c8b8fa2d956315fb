// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/pager"
)

// Config is of one node. Core, without Self, is the same at all.
type Config struct {
	Core   dsm.Config // Locks are the program's; the heap has one more
	Base   uint64     // where programs map the region
	Mode   pager.Mode
	Policy Policy
	// Collect is the time between two collections of logs and checkpoints that nobody
	// needs (LLT, CGC), beside those with each checkpoint; 0: a second.
	Collect time.Duration
	// Patience is how long a recovery waits for a node that is not there.
	Patience time.Duration
	// Bind keeps the thread that uses the region, and those here that serve its page
	// faults and calls, on one Processor: see the package.
	Bind      bool
	Processor int
	// KillAt ends node and program by SIGKILL at an operation; 0: never.
	KillAt uint64
	Log    *slog.Logger
}

// Base is where the region lies if nobody says otherwise: far from what Linux and
// Go use themselves.
const Base = 0x200000000000

// Policy says when a checkpoint is wanted; zero is never.
type Policy struct {
	// Logs is the share of the region that logs may have that are in no checkpoint: the
	// log-overflow policy of Table 4.3.
	Logs float64
	// Every is the time between two.
	Every time.Duration
	// Aligned wants them at barriers only, and of all nodes at the barrier that the first of
	// them comes to whose logs or time say so.
	Aligned bool
}

// Network carries messages to the other nodes.
type Network interface {
	// Send never waits for the network: the node's lock is held. Messages come in
	// order, once or more, unless this process dies or the one that they are for.
	Send(m *dsm.Message)
	// Flush has what was sent on its way. It comes after each entry, without the
	// lock, and from several threads at once.
	Flush()
	// Shelve, Taken and Look are called if Core.Shelves, and do not wait either.
	Shelve(e dsm.Shelve)
	// Taken are those of pages of which another node has taken what Shelve laid out.
	// It may write over pages.
	Taken(pages []dsm.Page) []dsm.Page
	// Look is answered at once, or later by Daemon.Found, without the lock.
	Look(e dsm.Look) (f dsm.Found, now bool)
	// Missing says which nodes there is no connection with, and why; "" if there is with all.
	// It does not wait either.
	Missing() string
}

// Store keeps one node's checkpoints and its incarnation on stable storage.
type Store interface {
	// Begin starts a new incarnation, above all before. st is nil if there is no
	// checkpoint; private belongs to it. window are all that are kept.
	Begin() (inc uint32, st *dsm.State, private []byte, window []logs.Kept, err error)
	// Save returns when the checkpoint is safe.
	Save(st *dsm.State, private []byte) error
	Page(number uint32, p dsm.Page) ([]byte, error)
	Discard(number uint32)
	DiscardPage(number uint32, p dsm.Page)
}

func (c *Config) check() error {
	k := c.Core
	switch {
	case k.Nodes < 1 || k.Nodes > 1<<12 || int(k.Self) >= k.Nodes:
		return fmt.Errorf("node %d of %d", k.Self, k.Nodes)
	case k.Pages < 1 || k.Pages > 1<<30:
		return fmt.Errorf("a region of %d pages", k.Pages)
	case k.Locks < 0 || k.Locks > 1<<20 || k.Conds < 0 || k.Conds > 1<<20:
		return fmt.Errorf("%d locks and %d conditions", k.Locks, k.Conds)
	}
	return nil
}
