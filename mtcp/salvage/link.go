// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"net/netip"

	"lazystate/mtcp/steer"
	"lazystate/mtcp/takeover"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// Link is a Place on an interface.
type Link struct {
	link   *takeover.Link
	sender *steer.Sender
	askers [2]*tcprepair.Asker // IPv4, IPv6; to open one takes time
}

// OnLink opens what takes long to open, and sweeps away what one that was killed
// has left. The takeover.Link stays the caller's.
func OnLink(link *takeover.Link) (*Link, error) {
	l := &Link{link: link}
	err := link.Sweep()
	if err != nil {
		return nil, err
	}
	if l.sender, err = steer.NewSender(); err != nil {
		return nil, err
	}
	for i, ip := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if l.askers[i], err = link.Asker(ip); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Close gives up what OnLink has opened.
func (l *Link) Close() error {
	for _, a := range l.askers {
		if a != nil {
			a.Close()
		}
	}
	return l.sender.Close()
}

// Has implements Place.
func (l *Link) Has(ip netip.Addr) (bool, error) { return l.link.Has(ip) }

// Take implements Place. What keeps TCP away from sockets that are not there is
// the Gate, so nothing guards the address. One that is here already was taken by a
// salvage that did not come to its end, and stays.
func (l *Link) Take(p netip.Prefix) (func() error, error) {
	a, err := l.link.Arrive(p)
	if errors.Is(err, takeover.ErrHasAddress) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := a.Unguard(); err != nil {
		return nil, errors.Join(err, a.Undo())
	}
	return a.Undo, nil
}

// Announce implements Place.
func (l *Link) Announce(p netip.Prefix) error {
	l.link.Repeat(p.Addr())
	return l.link.Announce(p.Addr())
}

// Ask implements Place.
func (l *Link) Ask(dumps []*tcprepair.Dump, how Asking, answered func(*tcprepair.Dump, error)) error {
	var families [2][]*tcprepair.Dump
	for _, d := range dumps {
		i := 0
		if d.Local.Addr().Is6() {
			i = 1
		}
		families[i] = append(families[i], d)
	}
	errs := make(chan error, len(families))
	for i, dumps := range families {
		go func() {
			errs <- l.askers[i].AskEach(dumps, how.Times, how.Wait, answered)
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// Begin implements Place.
func (l *Link) Begin(own, peer netip.Addr, segments uint32) (func() error, error) {
	return l.link.Begin(own, peer, segments)
}

// Provoke implements Place: a number that no window contains is answered with an
// acknowledgement (RFC 9293, section 3.10.7.4).
func (l *Link) Provoke(local, remote netip.AddrPort) error {
	return l.sender.Send(wire.Segment{Src: local, Dst: remote, Flags: wire.ACK})
}
