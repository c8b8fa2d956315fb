// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"lazystate/backdoor"
	"lazystate/mtcp"
	"lazystate/mtcp/extract"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
)

// Config says what is salvaged, and where to. Run and all that it restores are in
// the network namespace of the calling thread.
type Config struct {
	Target *backdoor.Target
	// Fence stops the target for good, or makes sure that somebody has. Its errors are
	// those of backdoor.Target.Fence: after nil and *backdoor.PortOnlyError nothing of
	// the target's TCP is heard any more.
	Fence func(context.Context) error
	// Services are the addresses that are taken over, with their subnets. Sessions
	// of other addresses stay where they are.
	Services []netip.Prefix

	Gate   Gate
	Place  Place
	Stack  *tcprepair.Stack
	Keeper *keeper.Keeper
	// Owner says whose process goes on with a session of a service, which was uid's
	// at the target, as that says; nil: the same number's.
	Owner func(service string, local netip.AddrPort, uid uint32) (uint32, error)

	// Entrust has restored sessions outlive this process, from before they live until
	// what it returns for each is called: when a process has it, or nobody will. nil for
	// all, or for one, is a session that is lost if this process dies over it: what its
	// client has said meanwhile is in no memory but ours.
	Entrust func(all []*landing.Session) (over []func())

	// Policy says how much of the buffers moves: mtcp.Minimal is §3.6.5's, which
	// relies on the client to send again what was not acknowledged, mtcp.Whole its
	// greedy alternative.
	Policy mtcp.Policy
	Limits extract.Limits
	Box    uint64 // bytes of one box; 0: 16 MiB
	Boxes  uint64 // of all of them; 0: 1 GiB

	// NotAsking leaves the clients out of it, as the dissertation does (§3.6.5,
	// §3.9.1): what was under way counts as sent, and what is buffered goes out
	// before the addresses are taken over.
	NotAsking bool
	Ask       Asking

	// Fresh has congestion begin anew. Otherwise the window is as it was (§3.6.5,
	// step 6); threshold and round-trip times nobody can be told.
	Fresh bool

	// AtOnce is how many sessions are made to live at once; 0: as many as this process
	// has CPUs for, eight at most.
	AtOnce int

	// Ledger is this process's, which may die of a session; nil: nobody notes that. What
	// is known of a machine's death is in the boxes.
	Ledger landing.Ledger
	// Trial is for how long a session must have lived here before another that was on
	// trial at a machine that has died is tried again; 0: a second.
	Trial time.Duration

	Log *slog.Logger

	// Point, if there is one, is told of every step, by several goroutines at once: tests
	// kill the daemon there.
	Point func(string)
}

// Asking is how often clients are asked, and how long they have each time.
type Asking struct {
	Times int           // 0: 3
	Wait  time.Duration // 0: 5 ms
}

// Gate keeps our own kernel from answering for sockets that are not there yet: a
// steer.Server. One that is pinned does so when this process has died over it, and
// another try finds what is held.
type Gate interface {
	Hold(f steer.Flow, what steer.What, limit time.Duration) error
	Release(f steer.Flow) error
	// Query fails with steer.ErrNoSocket where this host has none.
	Query(f steer.Flow) (steer.Numbers, error)
}

// Place is the network on which the addresses are: see OnLink.
type Place interface {
	// Has tells whether an address is here.
	Has(ip netip.Addr) (bool, error)
	// Take brings an address here, in silence. Without an undo it was here already.
	Take(p netip.Prefix) (undo func() error, err error)
	// Announce tells everybody that it is here, now and a few times more.
	Announce(p netip.Prefix) error
	// Ask asks the peers, and says at once who has answered, or why that one's
	// session is of no use: see tcprepair.Asker.
	Ask(dumps []*tcprepair.Dump, how Asking, answered func(*tcprepair.Dump, error)) error
	// Begin has connections to a peer begin with a congestion window of so many
	// segments, until undo: see takeover.Link.
	Begin(own, peer netip.Addr, segments uint32) (undo func() error, err error)
	// Provoke has a client whose session is lost say something, which is answered
	// with a RST.
	Provoke(local, remote netip.AddrPort) error
}

// mostBox is how large a box may be if nobody says otherwise, mostBoxes how large all of them.
const (
	mostBox   = 16 << 20
	mostBoxes = 1 << 30
)

func (c *Config) defaults() {
	if c.Owner == nil {
		c.Owner = func(_ string, _ netip.AddrPort, uid uint32) (uint32, error) { return uid, nil }
	}
	if c.Box == 0 {
		c.Box = mostBox
	}
	if c.Boxes == 0 {
		c.Boxes = mostBoxes
	}
	if c.Ask.Times == 0 {
		c.Ask.Times = 3
	}
	if c.Ask.Wait == 0 {
		c.Ask.Wait = 5 * time.Millisecond
	}
	if c.AtOnce <= 0 {
		c.AtOnce = min(runtime.GOMAXPROCS(0), mostTogether)
	}
	if c.Trial == 0 {
		c.Trial = onTrial
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Point == nil {
		c.Point = func(string) {}
	}
}

// serves reports whether an address is among the services'.
func (c *Config) serves(ip netip.Addr) bool {
	for _, p := range c.Services {
		if p.Addr() == ip {
			return true
		}
	}
	return false
}
