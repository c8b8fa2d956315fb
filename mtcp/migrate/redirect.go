// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"
	"sync"

	"lazystate/mtcp/takeover"
)

// Way is how the client's segments come to another server when the client
// itself has no part in it.
type Way uint8

// The ways there are.
const (
	ByTakeover Way = 1 // the address moves
	ByGateway  Way = 2 // a gateway on the client's way is told
)

func (w Way) String() string {
	if w != ByTakeover && w != ByGateway {
		return fmt.Sprintf("way %d", uint8(w))
	}
	return [...]string{"", "takeover", "gateway"}[w]
}

// leaving is S1's side of a redirection: from its making on nothing of the
// client's comes in.
type leaving interface {
	place() []byte // what S2 has to know
	commit() error
	undo() error
	done() error // it is for ever
}

// arriving is S2's: from its making on sockets can be restored.
type arriving interface {
	open() error // they may speak
	undo() error
}

// device is an interface that addresses come to and go from; one at a time does
// something there.
type device struct {
	link *takeover.Link
	mu   sync.Mutex
}

func (d *device) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f()
}

func (d *device) leave(a netip.Addr) (l leaving, err error) {
	err = d.do(func() error {
		v, err := d.link.Leave(a)
		l = addressLeaves{d, v}
		return err
	})
	return l, err
}

func (d *device) arrive(p netip.Prefix) (a arriving, err error) {
	err = d.do(func() error {
		v, err := d.link.Arrive(p)
		a = addressArrives{d, v}
		return err
	})
	return a, err
}

// addressLeaves is a takeover at S1.
type addressLeaves struct {
	d *device
	v *takeover.Leaving
}

func (a addressLeaves) place() []byte { return []byte{byte(a.v.Prefix().Bits())} }
func (a addressLeaves) commit() error { return a.d.do(a.v.Release) }
func (a addressLeaves) undo() error   { return a.d.do(a.v.Undo) }
func (a addressLeaves) done() error   { return a.d.do(a.v.Done) }

// addressArrives is a takeover at S2.
type addressArrives struct {
	d *device
	v *takeover.Arriving
}

func (a addressArrives) open() error { return a.d.do(a.v.Open) }
func (a addressArrives) undo() error { return a.d.do(a.v.Undo) }

// prefixOf reads what place wrote.
func prefixOf(addr netip.Addr, place []byte) (netip.Prefix, error) {
	if len(place) != 1 || int(place[0]) > addr.BitLen() {
		return netip.Prefix{}, &MalformedError{"state reply", fmt.Sprintf("prefix length %v of %s", place, addr)}
	}
	return netip.PrefixFrom(addr, int(place[0])), nil
}
