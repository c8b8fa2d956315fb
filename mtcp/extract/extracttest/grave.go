// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
)

// Machine is a bdtest.Target with boxes.
type Machine interface {
	Memory
	SetBox(i int, e uapi.Box, pages ...uint64)
}

// Grave is the memory of a machine that has died with sessions.
type Grave struct {
	*Kernel
	Boxes [][]uint64 // the pages of each session's box

	machine Machine
	first   int
}

// Dig makes the memory of a kernel, "6.1" or "6.12", that nobody lies in yet.
func Dig(m Machine, kernel string) *Grave { return &Grave{Kernel: New(m, kernel, 1), machine: m} }

const holdBound = time.Minute

// All buries the sessions that a keeper of this machine has, frozen as they are
// just then; broken, if any, may change the i-th socket. What is returned is the
// sockets, which are to be discarded once nobody hears them any more.
func (g *Grave) All(k *keeper.Keeper, stack *tcprepair.Stack, broken func(i int, d *tcprepair.Dump, s *Sock)) (all []*tcprepair.Frozen, err error) {
	for i, info := range k.Sessions() {
		held, err := k.Hold(info.ID, holdBound) // between two operations, as a kernel is between two instructions
		if err != nil {
			return all, err
		}
		r := held.Box.Region()
		box := make([]byte, r.Length)
		if _, err := r.File.ReadAt(box, r.Offset); err != nil {
			return all, fmt.Errorf("box of %s: %w", info.ID, err)
		}
		raw, err := held.Conn.SyscallConn()
		if err != nil {
			return all, err
		}
		var f *tcprepair.Frozen
		var d *tcprepair.Dump
		cerr := raw.Control(func(fd uintptr) {
			if f, err = stack.Freeze(int(fd)); err == nil {
				d, err = f.Dump()
			}
		})
		if f != nil {
			all = append(all, f)
		}
		if err == nil {
			err = cerr
		}
		if err != nil {
			return all, err
		}
		g.bury(i, box, d, f.Counters(), broken)
	}
	return all, nil
}

// bury puts a socket, its box and the box's entry into the memory.
func (g *Grave) bury(i int, box []byte, d *tcprepair.Dump, c mtcp.Counters, broken func(i int, d *tcprepair.Dump, s *Sock)) {
	s := g.Socket(d, c)
	if broken != nil {
		broken(i, d, s)
	}
	binary.LittleEndian.PutUint32(box[uapi.CboxHeadStateOff:], uapi.CboxLive)
	pages := make([]uint64, (len(box)+pageSize-1)/pageSize)
	for p := range pages {
		pages[p] = g.machine.Alloc(pageSize)
		g.machine.Poke(pages[p], box[p*pageSize:min(len(box), (p+1)*pageSize)])
	}
	g.machine.SetBox(i, uapi.Box{
		State: uapi.BoxBound, UID: uint32(os.Getuid()), Generation: uint64(i + 1), First: uint32(g.first), Pages: uint32(len(pages)), Sock: s.Addr,
		Local: end(d.Local), Remote: end(d.Remote), RcvFirst: uint32(d.RcvNxt - seqnum.Value(c.Received)), SndFirst: uint32(d.Una - seqnum.Value(c.Acked)),
	}, pages...)
	g.Boxes, g.first = append(g.Boxes, pages), g.first+len(pages)
}

func end(a netip.AddrPort) (e uapi.BoxEnd) {
	const inet, inet6 = 2, 10 // AF_INET, AF_INET6
	e.Family, e.Port = inet, a.Port()
	if a.Addr().Is6() {
		e.Family = inet6
	}
	copy(e.Addr[:], a.Addr().AsSlice())
	return e
}
