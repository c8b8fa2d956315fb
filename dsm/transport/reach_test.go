// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/dsm"
)

// Who waits for the others is told whom it waits for.
func TestReadyNamesWhoIsMissing(t *testing.T) {
	r := newRig(t, "tcp")
	a := r.start(0, 1)
	r.start(1, 1)
	a.until("peer", func() bool { return a.up[1] > 0 })
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := a.Ready(ctx); err == nil || !strings.Contains(err.Error(), "P2 (it was never there)") || strings.Contains(err.Error(), "P1") {
		t.Errorf("%v", err)
	}
	if got := a.Missing(); got != "P2 (it was never there)" {
		t.Errorf("%q", got)
	}
}

// hears has a node wait for others until what it says of that has a text in it.
func (e *end) hears(want string, not ...string) {
	e.r.t.Helper()
	var said string
	for end := time.Now().Add(bound); time.Now().Before(end); {
		ctx, stop := context.WithTimeout(e.r.t.Context(), 10*time.Millisecond)
		err := e.Ready(ctx)
		stop()
		if said = fmt.Sprint(err); strings.Contains(said, want) && !slices.ContainsFunc(not, func(s string) bool { return strings.Contains(said, s) }) {
			return
		}
	}
	e.r.t.Errorf("%v says %q, not %q", e.cfg.Cluster.Self, said, want)
}

// And why: what fails for ever is tried for ever, and would be so in silence.
func TestReadySaysWhy(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		var gone atomic.Bool
		b := r.start(1, 1, func(_ *end, c *Config) {
			known := c.Address
			c.Address = func(node dsm.NodeID) (string, error) {
				if gone.Load() {
					return "", errors.New("the folder is gone")
				}
				return known(node)
			}
		})
		b.hears("P0 (nobody knows its address)")
		gone.Store(true)
		b.hears("P0 (the folder is gone)")
		gone.Store(false)
		r.at(0, "what://127.0.0.1:9")
		b.hears(`unknown provider "what"`)
		r.start(0, 1)
		b.ready()
		if got := b.Missing(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// Who has a shelf that its device does not take says so, whoever of the two calls, and the
// other that hands were shaken in vain.
func TestShelfThatIsNotTaken(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		if !r.rdma() {
			return
		}
		r.cfg.Nodes = 2
		for _, who := range []dsm.NodeID{0, 1} {
			one := r.start(who, 1)
			if err := one.shelf.Close(); err != nil {
				t.Fatal(err)
			}
			other := r.start(1-who, 1)
			one.hears("register the shelf: the shelf is closed")
			other.hears(fmt.Sprintf("%v (", who), "never there")
			one.kill()
			other.kill()
			r.at(0, "")
			r.at(1, "")
		}
	})
}

// deaf is a listener that takes nobody at first, as of a device that has no more memory.
type deaf struct {
	net.Listener
	over *atomic.Bool
}

var errDeaf = errors.New("no memory to receive in")

func (d deaf) Accept() (net.Conn, error) {
	if !d.over.Load() {
		return nil, errDeaf
	}
	return d.Listener.Accept()
}

// Who cannot be called says so, though it knows not by whom, and no longer than that.
func TestListenerThatTakesNobody(t *testing.T) {
	r := newRig(t, "tcp")
	var over atomic.Bool
	a := r.start(0, 1, func(_ *end, c *Config) { c.Listeners[0] = deaf{c.Listeners[0], &over} })
	for _, peer := range []string{"P1", "P2"} {
		a.hears(peer + " (listen at " + r.address(0) + ": " + errDeaf.Error())
	}
	over.Store(true)
	r.start(1, 1)
	a.hears("P2 (it was never there)", "P1")
}
