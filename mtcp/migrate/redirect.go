// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/wire"
)

// Way is how the client's segments come to another server.
type Way uint8

// The ways there are.
const (
	ByTakeover Way = iota + 1 // the address moves
	ByGateway                 // a gateway on the client's way is told
	ByClient                  // the client's agent is advised
)

var ways = [...]string{"", "takeover", "gateway", "client"}

func (w Way) String() string {
	if w == 0 || int(w) >= len(ways) {
		return fmt.Sprintf("way %d", uint8(w))
	}
	return ways[w]
}

// ParseWay reads what String has written.
func ParseWay(text string) (Way, error) {
	if i := slices.Index(ways[:], text); i > 0 {
		return Way(i), nil
	}
	return 0, fmt.Errorf("%q: want takeover, gateway or client", text)
}

// Send moves one session to another server, by gateway or by its client.
func (m *Mover) Send(ctx context.Context, id cbox.ID, to string, by Way, why wire.Reason) error {
	if err := m.own.wait(ctx, to); err != nil {
		return err
	}
	switch by {
	case ByGateway:
		_, err := m.Redirect(ctx, id, to)
		return err
	case ByClient:
		return m.Advise(ctx, id, to, why)
	}
	return fmt.Errorf("session %s cannot move alone by %s", id, by)
}

// leaving is S1's side of a redirection: from its making on nothing of the
// client's comes in.
type leaving interface {
	place() []byte  // what S2 has to know
	prefix() string // of the address that goes; "": none
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

func (d *device) arrive(p netip.Prefix) (arriving, error) {
	a, err := d.expect(p.Addr())
	if err != nil {
		return nil, err
	}
	if err := a.add(p); err != nil {
		return nil, errors.Join(err, a.undo())
	}
	return a, nil
}

// expect is the part of arrive for which there is time beforehand.
func (d *device) expect(ip netip.Addr) (a *addressArrives, err error) {
	err = d.do(func() error {
		v, err := d.link.Expect(ip)
		a = &addressArrives{d, v}
		return err
	})
	return a, err
}

// shed takes an address away that nobody uses.
func (d *device) shed(a netip.Addr) error {
	v, err := d.leave(a)
	if errors.Is(err, takeover.ErrNoAddress) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(v.commit(), v.done())
}

// announceAgain repeats, less and less often, what the network was told of an address
// that has come: nobody answers that, and who has not heard it sends on to where the
// address was. It ends when the address leaves.
func (m *Mover) announceAgain(a netip.Addr) {
	d, err := m.device(a)
	here := true
	for i := 0; i < announcements && here && err == nil; i++ {
		select {
		case <-time.After(m.cfg.Timing.Retry << i):
		case <-m.ctx.Done():
			return
		}
		err = d.do(func() (err error) { // while it is there nobody takes it away
			if here, err = m.Has(a); here && err == nil {
				err = d.link.Announce(a)
			}
			return err
		})
	}
	if err != nil {
		m.log.Warn("announce an address again", "address", a, "err", err)
	}
}

// announcements are those behind the first, over about six seconds by default.
const announcements = 5

// addressLeaves is a takeover at S1.
type addressLeaves struct {
	d *device
	v *takeover.Leaving
}

func (a addressLeaves) place() []byte  { return []byte{byte(a.v.Prefix().Bits())} }
func (a addressLeaves) prefix() string { return a.v.Prefix().String() }
func (a addressLeaves) commit() error  { return a.d.do(a.v.Release) }
func (a addressLeaves) undo() error    { return a.d.do(a.v.Undo) }
func (a addressLeaves) done() error    { return a.d.do(a.v.Done) }

// addressArrives is a takeover at S2.
type addressArrives struct {
	d *device
	v *takeover.Arriving
}

func (a *addressArrives) add(p netip.Prefix) error {
	return a.d.do(func() error { return a.v.Add(p.Bits()) })
}
func (a *addressArrives) open() error { return a.d.do(a.v.Open) }
func (a *addressArrives) undo() error { return a.d.do(a.v.Undo) }

// prefixOf reads what place wrote.
func prefixOf(addr netip.Addr, place []byte) (netip.Prefix, error) {
	if len(place) != 1 || int(place[0]) > addr.BitLen() {
		return netip.Prefix{}, &MalformedError{"state reply", fmt.Sprintf("prefix length %v of %s", place, addr)}
	}
	return netip.PrefixFrom(addr, int(place[0])), nil
}
