// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"net/netip"
	"time"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Dump is what another kernel needs in order to go on with a connection.
type Dump struct {
	Local, Remote netip.AddrPort // never IPv4 mapped into IPv6
	mtcp.Endpoint                // FINs count among its numbers; Unread is len(In)
	Window        Window
	Negotiated    Negotiated
	Options       Options
	In            []byte // received and not read
	Out           []byte // written and not acknowledged
}

// Window is the flow control of both directions. The last number acknowledged
// is Endpoint's Ack.
type Window struct {
	Wl1         seqnum.Value // segment that told us of Send
	Send        uint32       // what the peer granted, from Una on
	SendMost    uint32       // the largest it ever granted
	Receive     uint32       // what we granted, from Ack on
	Clamp       int32        // TCP_WINDOW_CLAMP
	SendBuffer  int32        // sk_sndbuf, as the kernel counts it
	RecvBuffer  int32        // sk_rcvbuf
	BufferLocks int32        // SO_BUF_LOCK: which of them the user has set; -1: not known
}

// Negotiated is what the two ends agreed on at the handshake.
type Negotiated struct {
	MSS                  uint32 // the peer's, as limited by ours
	SendScale, RecvScale uint8  // window scales, if Scaled
	Scaled, SACK         bool
	Stamped              bool   // timestamps
	Timestamp            uint32 // our clock; odd: it counts microseconds
}

// end is the number behind the last byte in Out.
func (d *Dump) end() seqnum.Value {
	if d.State.OwnFin() {
		return d.Write - 1
	}
	return d.Write
}

// inEnd is the number behind the last byte received.
func (d *Dump) inEnd() seqnum.Value {
	if d.State.PeerFin() {
		return d.RcvNxt - 1
	}
	return d.RcvNxt
}

// sent is how much of Out has been sent.
func (d *Dump) sent() int {
	n := int(int32(d.Nxt - d.outFirst()))
	return max(0, min(n, len(d.Out)))
}

// outFirst is the number of Out's first byte.
func (d *Dump) outFirst() seqnum.Value { return d.end() - seqnum.Value(len(d.Out)) }

// Resend makes all of Out unsent. It may be called only where the peer is known
// to have received nothing behind Una: an acknowledgement of more than what was
// sent is thrown away, and both sides wait for ever (§3.6.5).
func (d *Dump) Resend() { d.Nxt = d.Una }

// Elapse sets the timestamps' clock forward by the time for which the dump was on
// its way: the frozen socket's clock went on, and the peer, if it heard a repeated
// segment of its, drops what is older (RFC 7323, section 5). As little as is
// certain to be enough: the peer's first acknowledgement of what was restored as
// sent is taken for a round trip of so much longer.
func (d *Dump) Elapse(t time.Duration) {
	unit := time.Millisecond
	if d.Negotiated.Timestamp&1 != 0 {
		unit = time.Microsecond
	}
	// In steps of two, for the lowest bit is the unit.
	d.Negotiated.Timestamp += uint32((t+2*unit-1)/(2*unit)) * 2
}

// Check refuses what no socket can have given, so that Restore need not fear
// the numbers.
func (d *Dump) Check() error {
	if !d.State.Movable() {
		return &mtcp.StateError{State: d.State}
	}
	if err := checkAddrs(d.Local, d.Remote); err != nil {
		return err
	}
	if len(d.In) > maxQueue || len(d.Out) > maxQueue {
		return invalid("queues", "%d and %d bytes", len(d.In), len(d.Out))
	}
	if int(d.Unread) != len(d.In) {
		return invalid("receive queue", "%d bytes, %d unread", len(d.In), d.Unread)
	}
	if err := d.checkSend(); err != nil {
		return err
	}
	return d.checkWindow()
}

// maxQueue is more than any window allows (RFC 7323, section 2.3).
const maxQueue = 1 << 30

func (d *Dump) checkSend() error {
	if !d.Una.LessEq(d.Nxt) || !d.Nxt.LessEq(d.Write) {
		return invalid("send queue", "una %d, nxt %d, write %d", d.Una, d.Nxt, d.Write)
	}
	n := d.Una.Size(d.Write)
	fin := d.State.OwnFin()
	if fin != d.State.OwnFinAcked() { // a FIN that is not acknowledged is one of them
		n--
	}
	if uint64(n) != uint64(len(d.Out)) || d.State.OwnFinAcked() && d.Una != d.Write {
		return invalid("send queue", "%d bytes in %s, una %d, write %d", len(d.Out), d.State, d.Una, d.Write)
	}
	return nil
}

func (d *Dump) checkWindow() error {
	if !d.Ack.LessEq(d.RcvNxt) {
		return invalid("window", "ack %d behind rcv_nxt %d", d.Ack, d.RcvNxt)
	}
	if d.Window.Send > maxQueue || d.Window.Receive > maxQueue || d.Window.SendMost < d.Window.Send {
		return invalid("window", "%+v", d.Window)
	}
	if n := d.Negotiated; n.SendScale > maxScale || n.RecvScale > maxScale || n.MSS == 0 || n.MSS > 1<<16 {
		return invalid("options of the handshake", "%+v", n)
	}
	return nil
}

const maxScale = 14 // RFC 7323, section 2.3

func checkAddrs(local, remote netip.AddrPort) error {
	for _, a := range []netip.AddrPort{local, remote} {
		if !a.IsValid() || a.Port() == 0 || a.Addr().Is4In6() || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
			return invalid("address", "%s", a)
		}
		if a.Addr().Zone() != "" || a.Addr().IsLinkLocalUnicast() && a.Addr().Is6() {
			return invalid("address", "%s means another interface elsewhere", a)
		}
	}
	if local.Addr().Is4() != remote.Addr().Is4() {
		return invalid("address", "%s and %s are of two families", local, remote)
	}
	return nil
}
