// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"lazystate/backdoor/uapi"
)

// Admit judges the private data of a connection request (bd_rdma.h): who asks,
// that it is no recording, and that it means this boot of the target. The answer
// to who may not is a denial that its key signs, and that tells what to ask with.
func (g *Guard) Admit(now time.Duration, b []byte) (uapi.Hello, *uapi.Denial) {
	var h uapi.Hello
	why := g.admit(&h, b)
	if why == 0 {
		g.monitors[h.Monitor].counter = h.Counter
		return h, nil
	}
	d := g.Deny(&h, why)
	if why != uapi.DenyBootID { // asking without knowing the boot is how one begins
		g.event(Event{Time: now, Kind: Denied, Monitor: h.Monitor, Why: uapi.DenialReasonName(why)})
	}
	return h, d
}

func (g *Guard) admit(h *uapi.Hello, b []byte) uint32 {
	if err := h.Decode(b); err != nil || h.Magic != uapi.HelloMagic {
		*h = uapi.Hello{}
		return uapi.DenyMalformed
	}
	m := g.monitor(h.Monitor)
	switch {
	case h.Major != uapi.VersionMajor:
		return uapi.DenyVersion
	case h.Reserved != 0 || h.Flags&^uapi.HelloTakeover != 0 || h.Monitor >= uapi.Monitors:
		return uapi.DenyMalformed
	case g.boot == [16]byte{}:
		return uapi.DenyClosed
	case m == nil:
		return uapi.DenyNoKey
	case h.BootID != g.boot:
		return uapi.DenyBootID
	case !h.SignedWith(m.Key):
		return uapi.DenyTag
	case h.Counter <= m.counter:
		return uapi.DenyCounter
	case m.Read == 0:
		return uapi.DenyPolicy
	}
	return 0
}

// Deny returns the answer to a hello that is refused for a reason of the
// caller's, such as too many connections.
func (g *Guard) Deny(h *uapi.Hello, reason uint32) *uapi.Denial {
	d := &uapi.Denial{
		Magic: uapi.DenialMagic, Major: uapi.VersionMajor, Minor: uapi.VersionMinor,
		Reason: reason, Monitor: h.Monitor, BootID: g.boot, Counter: h.Counter,
	}
	if m := g.monitor(h.Monitor); m != nil {
		d.Highest = m.counter
		d.Sign(m.Key)
	}
	return d
}
