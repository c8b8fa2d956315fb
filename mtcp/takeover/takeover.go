// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"lazystate/mtcp/tcprepair"
)

// Leaving is an address on its way out of this host.
type Leaving struct {
	l    *Link
	ip   netip.Addr
	addr *netlink.Addr // as it was
	gone bool
}

// Leave sets the guard: from now on no segment of ip reaches a socket here or
// leaves one. The address stays until Release.
func (l *Link) Leave(ip netip.Addr) (*Leaving, error) {
	a, err := l.find(ip)
	if err != nil {
		return nil, fmt.Errorf("leave %s: %w", l.dev, err)
	}
	if err := l.guard.on(ip); err != nil {
		return nil, fmt.Errorf("leave %s: %w", l.dev, err)
	}
	return &Leaving{l: l, ip: ip, addr: a}, nil
}

// Prefix is the address with its subnet, which the new host needs to know.
func (v *Leaving) Prefix() netip.Prefix {
	bits, _ := v.addr.Mask.Size()
	return netip.PrefixFrom(v.ip, bits)
}

// Release removes the address.
func (v *Leaving) Release() error {
	if v.gone {
		return nil
	}
	if err := v.l.del(v.addr); err != nil {
		return fmt.Errorf("leave %s: %w", v.l.dev, err)
	}
	v.gone = true
	return nil
}

// Undo brings everything back: the address, which is announced again, and its
// segments. Sockets are thawed after it.
func (v *Leaving) Undo() error {
	if v.gone {
		if err := v.l.add(v.addr); err != nil && !errors.Is(err, ErrHasAddress) {
			return fmt.Errorf("come back to %s: %w", v.l.dev, err)
		}
		v.gone = false
	}
	return errors.Join(v.l.Announce(v.ip), v.l.guard.off(v.ip))
}

// Done takes the guard off. The address is gone, so the kernel has no answer to
// its segments, and what is left of the sockets can be discarded.
func (v *Leaving) Done() error {
	if !v.gone {
		return fmt.Errorf("leave %s: %s has not been released", v.l.dev, v.ip)
	}
	return errors.Join(v.l.forget(v.ip), v.l.guard.off(v.ip))
}

// Arriving is an address that is on this host and not yet in use, or about to be.
type Arriving struct {
	l    *Link
	addr *netlink.Addr // nil before Add
	ip   netip.Addr
}

// Expect sets the guard for an address that will come, which need not wait until
// its sockets are frozen at the old host. Add or Undo follows.
func (l *Link) Expect(ip netip.Addr) (*Arriving, error) {
	if err := l.guard.on(ip); err != nil {
		return nil, fmt.Errorf("arrive at %s: %w", l.dev, err)
	}
	return &Arriving{l: l, ip: ip}, nil
}

// Add adds the address. Sockets can be restored now; they neither hear nor say
// anything before Open.
func (v *Arriving) Add(bits int) error {
	a := newAddr(netip.PrefixFrom(v.ip, bits))
	if err := v.l.add(a); err != nil {
		return fmt.Errorf("arrive at %s: %w", v.l.dev, err)
	}
	v.addr = a
	return nil
}

// Arrive is Expect and Add.
func (l *Link) Arrive(p netip.Prefix) (*Arriving, error) {
	v, err := l.Expect(p.Addr())
	if err != nil {
		return nil, err
	}
	if err := v.Add(p.Bits()); err != nil {
		return nil, errors.Join(err, v.Undo())
	}
	return v, nil
}

// Announce tells the network where the address is, while the guard still
// stands: Ask needs the peers' answers to come here.
func (v *Arriving) Announce() error { return v.l.Announce(v.ip) }

// Asker asks the peers of an address that has arrived and been announced what
// they have of sockets that are not restored yet. To open one takes time: do it
// beforehand.
func (l *Link) Asker(ip netip.Addr) (*tcprepair.Asker, error) {
	return tcprepair.NewAsker(l.index, ip.Is6())
}

// Open takes the guard off and announces the address, in this order: whoever hears
// that speaks at once, and what the guard would drop is sent again by a timer. Until
// then nobody sends anything here. Every socket of it must have been restored: a
// segment for another is answered with RST.
func (v *Arriving) Open() error { return errors.Join(v.Unguard(), v.Announce()) }

// Unguard takes the guard off and announces nothing: the peers hear what sockets
// here have to say, and answer where the address was.
func (v *Arriving) Unguard() error { return v.l.guard.off(v.ip) }

// Undo removes the address and the guard. Sockets that were restored are
// abandoned before.
func (v *Arriving) Undo() error {
	var err error
	if v.addr != nil {
		err = v.l.del(v.addr)
	}
	return errors.Join(err, v.l.guard.off(v.ip))
}
