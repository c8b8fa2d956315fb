// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// Config says where an agent works.
type Config struct {
	Interfaces []string // towards the servers
	Hook       Hook
	// Pin is a folder of a BPF file system, private to this agent, where its
	// sessions and programs outlive it. "" is none: Close ends every session.
	Pin      string
	Sessions int // at most; 0: 4096
	// Gateway says that the clients are elsewhere: there is no socket to ask for
	// numbers, so nothing is clamped, and what they send while a session moves is
	// kept and sent on. That needs CAP_PERFMON.
	Gateway bool
}

// Agent steers the sessions of a client, or at a gateway. Its methods may be
// called by several goroutines, but not two for one session.
type Agent struct {
	*source
	cfg      Config
	loader   *loader
	hooks    *hooks
	sessions *ebpf.Map
	wires    *ebpf.Map
	counters *ebpf.Map
	query    *ebpf.Program
	keeper   *keeper   // at a gateway
	notes    *ebpf.Map // nil without Pin

	mu    sync.Mutex
	flows map[Flow][]Flow // of each session on the wire, but its own
}

// Open loads the programs and attaches them in the network namespace of the
// calling thread; Query and what needs it belong to that namespace too.
func Open(cfg Config) (*Agent, error) {
	n := cfg.Sessions
	if n == 0 {
		n = defaultMax
	}
	sizes := map[string]uint32{bpfMapSessions: uint32(n), bpfMapWires: uint32(n) * 4}
	l, err := newLoader(cfg.Pin, sizes, bpfProgSteerIn, bpfProgSteerOut, bpfProgSteerQuery)
	if err != nil {
		return nil, err
	}
	l.gate = cfg.Gateway
	h, err := newHooks(cfg.Hook, cfg.Pin)
	if err == nil {
		err = l.attachTo(h, cfg.Interfaces, bpfProgSteerIn, bpfProgSteerOut)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	s, err := newSource(l.maps[bpfMapEvents])
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	a := &Agent{
		source: s, cfg: cfg, loader: l, hooks: h, flows: map[Flow][]Flow{},
		sessions: l.maps[bpfMapSessions], wires: l.maps[bpfMapWires], counters: l.maps[bpfMapCounters], query: l.program(bpfProgSteerQuery),
	}
	if err := errors.Join(a.recall(), a.openNotes()); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if cfg.Gateway {
		if a.keeper, err = newKeeper(a, l.maps[bpfMapKeeping]); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// recall reads which flows belong to the sessions that a former agent left.
func (a *Agent) recall() error {
	var f bpfFlow
	var w bpfWire
	it := a.wires.Iterate()
	for it.Next(&f, &w) {
		if app := flowOf(w.App); app != flowOf(f) {
			a.flows[app] = append(a.flows[app], flowOf(f))
		}
	}
	return it.Err()
}

// attachTo puts two programs on each interface, or closes h.
func (l *loader) attachTo(h *hooks, interfaces []string, in, out string) error {
	if len(interfaces) == 0 {
		return errors.Join(errors.New("no interface to attach to"), h.close())
	}
	for _, name := range interfaces {
		link, err := h.nl.LinkByName(name)
		if err != nil {
			return errors.Join(fmt.Errorf("interface %s: %w", name, err), h.close())
		}
		if err := l.attach(h, link, in, out); err != nil {
			return errors.Join(err, h.close())
		}
	}
	return nil
}

func (l *loader) attach(h *hooks, link netlink.Link, in, out string) error {
	c, err := l.load(headerLen(link))
	if err != nil {
		return err
	}
	return h.attach(link, c.Programs[in], c.Programs[out])
}

// program returns one that does not look at packets: any collection's will do.
func (l *loader) program(name string) *ebpf.Program {
	for _, c := range l.colls {
		return c.Programs[name]
	}
	return nil
}

// Hook says which hook it came to be.
func (a *Agent) Hook() Hook { return a.hooks.hook }

// Query returns the numbers of a connection of this host.
func (a *Agent) Query(f Flow) (Numbers, error) { return query(a.query, f) }

// Stats counts what the programs have done.
func (a *Agent) Stats() (Stats, error) { return readStats(a.counters) }

// Close detaches the programs; sessions that have moved are cut off. With Pin
// both stay for the next Open.
func (a *Agent) Close() error {
	var err error
	if a.keeper != nil {
		err = a.keeper.close()
	}
	err = errors.Join(err, a.close(), a.hooks.close(), a.notes.Close())
	a.loader.close()
	return err
}
