// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
)

// grant is what one monitor was given at one connection: a protection domain,
// keys, and the queue pairs that share them.
type grant struct {
	s       *Server
	front   *front
	id      uint32
	slot    uint32
	monitor guard.Monitor
	pd      *verbs.PD
	fixed   []*verbs.MR // root, table
	rootKey uint32
	tabKey  uint32

	table atomic.Pointer[table] // nil: the target offers nothing, or revoked
	gone  chan struct{}         // closed by revoke
	last  atomic.Int64          // time of the last operation, since the server's start

	mu    sync.Mutex
	root  uapi.Root // as it was last
	banks [2]*bank  // the keys in use, and those of the next state; nil: being renewed
	qps   int
	over  bool // no queue pair may join any more
}

// bank is a set of keys, one for each region there can be. At a change of the
// target's regions a grant turns to its other bank in no time, also from inside
// a remote read; the old keys open nothing from then on, and are renewed.
type bank struct {
	mrs  []*verbs.MR
	keys []uint32
}

const remoteAll = verbs.AccessRemoteRead | verbs.AccessRemoteWrite | verbs.AccessRemoteAtomic

func (s *Server) newGrant(f *front, id, slot uint32) (*grant, error) {
	g := &grant{s: s, front: f, id: id, slot: slot, monitor: *s.guard.Monitor(slot), gone: make(chan struct{})}
	var err error
	if g.pd, err = f.dev.AllocPD(); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		h    *fixed
		addr uint64
		len  uint64
		key  *uint32
	}{
		{&fixed{g, g.readRoot}, rootAddr, uapi.RootSize, &g.rootKey},
		{&fixed{g, g.readTable}, tableAddr, uapi.TableSize, &g.tabKey},
	} {
		mr, err := g.pd.RegHandler(f.h, f.addr, f.len, verbs.AccessRemoteRead)
		if err != nil {
			return nil, errors.Join(err, g.free())
		}
		g.fixed, *f.key = append(g.fixed, mr), mr.RKey()
	}
	for i := range g.banks {
		if g.banks[i], err = g.newBank(i); err != nil {
			return nil, errors.Join(err, g.free())
		}
	}
	g.last.Store(int64(s.now()))
	return g, nil
}

func (g *grant) newBank(number int) (*bank, error) {
	b := &bank{}
	for i := range uapi.MaxRegions {
		mr, err := g.pd.RegHandler(&window{g, number, i}, 0, math.MaxUint64, remoteAll)
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.mrs, b.keys = append(b.mrs, mr), append(b.keys, mr.RKey())
	}
	return b, nil
}

func (b *bank) close() error {
	if b == nil {
		return nil
	}
	var errs []error
	for _, mr := range b.mrs {
		errs = append(errs, mr.Close())
	}
	return errors.Join(errs...)
}

// follow gives the grant the target's new state, nil if there is none. Where the
// next keys are not ready yet it offers nothing until they are.
func (g *grant) follow(v *view) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	was := g.table.Load()
	if was != nil && was.view == v {
		return
	}
	if was != nil {
		g.s.renew(stale{g, was.bank, g.banks[was.bank]})
		g.banks[was.bank] = nil
	}
	next := slices.IndexFunc(g.banks[:], func(b *bank) bool { return b != nil })
	if v == nil || next < 0 {
		g.table.Store(nil)
		return
	}
	t := newTable(v, &g.monitor, next, g.banks[next].keys, g.tabKey)
	g.root = t.root
	g.table.Store(t)
}

// renew registers new keys in place of a bank's old ones. It is not called from
// inside a remote operation.
func (g *grant) renew(number int, old *bank) error {
	if err := old.close(); err != nil || g.revoked() {
		return err
	}
	b, err := g.newBank(number)
	if err != nil {
		return err
	}
	g.mu.Lock()
	if !g.over {
		g.banks[number], b = b, nil
	}
	g.mu.Unlock()
	return b.close()
}

// lastRoot is the last root that there was, for who asks after it is gone.
func (g *grant) lastRoot() uapi.Root {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.root
}

// enter reserves a place for one more queue pair.
func (g *grant) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over || g.qps >= g.s.opts.QPs {
		return false
	}
	g.qps++
	return true
}

// leave gives a queue pair's place up; with the last one the grant ends.
func (g *grant) leave() {
	g.mu.Lock()
	g.qps--
	end := g.qps == 0
	g.mu.Unlock()
	if !end {
		return
	}
	g.revoke()
	g.s.drop(g)
	if err := g.free(); err != nil {
		g.s.log.Error("end grant", "monitor", g.slot, "grant", g.id, "err", err)
	}
}

// revoke makes every key of the grant invalid at once, and disconnects.
func (g *grant) revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	g.over = true
	g.table.Store(nil)
	close(g.gone)
}

func (g *grant) revoked() bool {
	select {
	case <-g.gone:
		return true
	default:
		return false
	}
}

func (g *grant) free() error {
	g.mu.Lock()
	banks := g.banks
	g.banks = [2]*bank{}
	g.mu.Unlock()
	errs := []error{banks[0].close(), banks[1].close()}
	for _, mr := range g.fixed {
		errs = append(errs, mr.Close())
	}
	return errors.Join(append(errs, g.pd.Close())...)
}

// message is the private data that tells the monitor what it was given.
func (g *grant) message(h *uapi.Hello, root uapi.Root) []byte {
	m := uapi.Grant{
		Magic: uapi.GrantMagic, Major: uapi.VersionMajor, Minor: uapi.VersionMinor, Flags: uapi.GrantAtomic,
		Monitor: g.slot, Counter: h.Counter, Grant: g.id, Read: g.monitor.Read, Write: g.monitor.Write,
		RootAddr: rootAddr, RootLen: uapi.RootSize, RootKey: g.rootKey, Root: root,
	}
	if g.monitor.Lock {
		m.Flags |= uapi.GrantLock
	}
	if g.s.target.mem.Caps().CutsPort {
		m.Flags |= uapi.GrantCutsPort
	}
	m.Sign(g.monitor.Key)
	return m.Encode()
}

func (g *grant) String() string { return fmt.Sprintf("grant %d of monitor %d", g.id, g.slot) }

func (g *grant) idle(now time.Duration) time.Duration { return now - time.Duration(g.last.Load()) }

func (g *grant) read(n uint64) {
	g.last.Store(int64(g.s.now()))
	g.s.stats.reads.Add(1)
	g.s.stats.bytes.Add(n)
}

func (g *grant) wrote(n int) {
	g.last.Store(int64(g.s.now()))
	g.s.stats.writes.Add(1)
	g.s.stats.bytes.Add(uint64(n))
}

// refuse counts a refusal on its way.
func (g *grant) refuse(err error) error {
	if err != nil {
		g.s.stats.refused.Add(1)
	}
	return err
}
