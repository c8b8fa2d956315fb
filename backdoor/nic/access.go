// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
	"lazystate/verbs/driver"
)

// ErrRefused is an operation that the table or the guard does not allow.
var ErrRefused = errors.New("refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// window answers one key of a grant: one region of one state of the target. It is
// registered from address 0 on, so what is an offset to it is the address.
type window struct {
	g     *grant
	bank  int
	index int
}

var (
	_ driver.Handler  = (*window)(nil)
	_ driver.ReadGate = (*window)(nil)
)

// entry finds the region behind the key; a key of an earlier state has none.
func (w *window) entry(addr, n uint64, need backdoor.Perm) (*table, *entry, error) {
	t := w.g.table.Load()
	if t == nil || t.bank != w.bank || w.index >= len(t.entries) {
		return nil, nil, refused("the key is no longer valid")
	}
	e := &t.entries[w.index]
	switch {
	case !e.Contains(addr, n):
		return nil, nil, refused("%#x+%d is not in region %s", addr, n, e.Name)
	case e.Perm&need == 0:
		return nil, nil, refused("region %s is not to be used so", e.Name)
	}
	return t, e, nil
}

// AdmitRead implements driver.ReadGate: the guard sees a READ as its monitor asked
// for it. One that waits for other monitors has no answer yet.
func (w *window) AdmitRead(_ driver.QP, addr, n uint64) error {
	_, e, err := w.entry(addr, n, backdoor.PermRead)
	if err != nil {
		return w.g.refuse(err)
	}
	v := w.g.s.judge(&guard.Request{Monitor: w.g.slot, Op: guard.Read, Kind: e.Kind, Addr: addr, Off: addr - e.Addr, Len: n})
	switch v.Act {
	case guard.Pass:
		w.g.read(n)
		return nil
	case guard.Withhold:
		w.g.s.stats.withheld.Add(1)
		return driver.ErrNoAnswer
	}
	return w.g.refuse(refused("%s", v.Why))
}

// RemoteRead implements driver.Handler. What it brings was admitted before.
func (w *window) RemoteRead(_ driver.QP, addr uint64, dst []byte) error {
	_, e, err := w.entry(addr, uint64(len(dst)), backdoor.PermRead)
	if err != nil {
		return w.g.refuse(err)
	}
	if e.own != 0 {
		return w.g.s.readOwner(addr-e.Addr, dst)
	}
	_, err = w.g.s.do(e.under.Read(addr-e.Addr, dst))
	return err
}

// RemoteWrite implements driver.Handler.
func (w *window) RemoteWrite(_ driver.QP, addr uint64, src []byte) error {
	t, e, err := w.entry(addr, uint64(len(src)), backdoor.PermWrite)
	if err != nil || len(src) == 0 {
		return w.g.refuse(err)
	}
	v := w.g.s.judge(&guard.Request{
		Monitor: w.g.slot, Op: guard.Write, Kind: e.Kind, Addr: addr, Off: addr - e.Addr, Len: uint64(len(src)), Data: src,
	})
	w.g.wrote(len(src))
	if err := w.g.s.apply(t.view, v.Apply); err != nil {
		return err
	}
	switch v.Act {
	case guard.Keep:
		return nil
	case guard.Pass:
		_, err = w.g.s.do(e.under.Write(addr-e.Addr, src))
		return err
	}
	return w.g.refuse(refused("%s", v.Why))
}

// RemoteCmpSwap implements driver.Handler.
func (w *window) RemoteCmpSwap(_ driver.QP, addr uint64, compare, swap uint64) (uint64, error) {
	return w.atomic(addr, backdoor.Op{Kind: backdoor.OpCmpSwap, Compare: compare, Swap: swap})
}

// RemoteFetchAdd implements driver.Handler.
func (w *window) RemoteFetchAdd(_ driver.QP, addr uint64, add uint64) (uint64, error) {
	return w.atomic(addr, backdoor.Op{Kind: backdoor.OpFetchAdd, Swap: add})
}

func (w *window) atomic(addr uint64, op backdoor.Op) (uint64, error) {
	_, e, err := w.entry(addr, 8, backdoor.PermAtomic)
	if err != nil {
		return 0, w.g.refuse(err)
	}
	v := w.g.s.judge(&guard.Request{Monitor: w.g.slot, Op: guard.Atomic, Kind: e.Kind, Addr: addr, Off: addr - e.Addr, Len: 8})
	if v.Act != guard.Pass {
		return 0, w.g.refuse(refused("%s", v.Why))
	}
	w.g.wrote(8)
	op.Addr, op.Key = e.under.Addr+(addr-e.Addr), e.under.Key
	return w.g.s.do(op)
}

// apply carries out what the guard lets through, in its order.
func (s *Server) apply(v *view, puts []guard.Put) error {
	for _, p := range puts {
		r, err := v.region(p.Kind, p.Off, uint64(len(p.Data)))
		if err != nil {
			return err
		}
		if _, err := s.do(r.Write(p.Off, p.Data)); err != nil {
			return err
		}
	}
	return nil
}

// do runs one operation on the target's memory. It is bound to the server's life,
// not to a monitor's patience: a mapping answers at once.
func (s *Server) do(op backdoor.Op) (uint64, error) {
	old, err := s.ops.one(context.Background(), s.target.mem, op)
	if err != nil {
		s.stats.failed.Add(1)
	}
	return old, err
}

// fixed is what a grant has at an address that never changes: its root or its
// table.
type fixed struct {
	g     *grant
	bytes func() ([]byte, error)
}

var _ driver.Handler = (*fixed)(nil)

// RemoteRead implements driver.Handler.
func (f *fixed) RemoteRead(_ driver.QP, off uint64, dst []byte) error {
	b, err := f.bytes()
	if err != nil {
		return f.g.refuse(err)
	}
	if off > uint64(len(b)) || uint64(len(dst)) > uint64(len(b))-off {
		return f.g.refuse(refused("out of range"))
	}
	f.g.read(uint64(len(dst)))
	copy(dst, b[off:])
	return nil
}

// RemoteWrite implements driver.Handler.
func (f *fixed) RemoteWrite(driver.QP, uint64, []byte) error {
	return f.g.refuse(refused("it is not to be written"))
}

// RemoteCmpSwap implements driver.Handler.
func (f *fixed) RemoteCmpSwap(driver.QP, uint64, uint64, uint64) (uint64, error) {
	return 0, f.RemoteWrite(0, 0, nil)
}

// RemoteFetchAdd implements driver.Handler.
func (f *fixed) RemoteFetchAdd(driver.QP, uint64, uint64) (uint64, error) {
	return 0, f.RemoteWrite(0, 0, nil)
}

// readRoot looks at the target now. A target whose module is gone has a root
// that says so; its boot id stays what it was.
func (g *grant) readRoot() ([]byte, error) {
	_, err := g.s.target.look(context.Background())
	t := g.table.Load()
	if t == nil && g.revoked() {
		return nil, refused("the grant was revoked")
	}
	root := g.lastRoot()
	if t == nil || err != nil {
		root.Generation = 0
	} else {
		root = t.root
	}
	return root.Encode(), nil
}

func (g *grant) readTable() ([]byte, error) {
	t := g.table.Load()
	if t == nil {
		return nil, refused("the target offers no regions")
	}
	return t.raw, nil
}

func (s *Server) readOwner(off uint64, dst []byte) error {
	s.mu.Lock()
	ack := s.guard.OwnerAck(s.now())
	s.mu.Unlock()
	b := ack.Encode()
	if off+uint64(len(dst)) > uint64(len(b)) || off > uapi.OwnerAckSize {
		return refused("out of range")
	}
	copy(dst, b[off:])
	return nil
}
