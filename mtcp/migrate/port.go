// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/steer"
)

// keptPort is a port of the client's that a session has had towards a server. The kernel's
// programs know the flow for a while, as a black hole when the session is elsewhere: what
// another connection with these ends would hear is dropped there. So nobody else is to
// have it.
type keptPort struct {
	at netip.AddrPort
	fd int
}

// keepPort keeps one, or has it count as the one that was used last; fd is not above 0 if
// there is none, or it is kept already. Agent.mu is held.
func (s *clientSession) keepPort(at netip.AddrPort, fd int) {
	if i := slices.IndexFunc(s.ports, func(p keptPort) bool { return p.at == at }); i >= 0 {
		if fd > 0 {
			unix.Close(s.ports[i].fd)
		} else {
			fd = s.ports[i].fd
		}
		s.ports = slices.Delete(s.ports, i, i+1)
	}
	if fd <= 0 {
		return
	}
	s.ports = append(s.ports, keptPort{at, fd})
	if len(s.ports) > steer.Flows {
		unix.Close(s.ports[0].fd)
		s.ports = slices.Delete(s.ports, 0, 1)
	}
}

// freePorts is for a connection that is over, or whose flows nobody knows any more.
// Agent.mu is held.
func (s *clientSession) freePorts() {
	for _, p := range s.ports {
		unix.Close(p.fd)
	}
	s.ports = nil
}

// recallPorts reserves those of the flows that an earlier agent has left, unless another
// connection has them by now.
func (a *Agent) recallPorts(f steer.Flow, s *clientSession) {
	for _, w := range a.steer.Wires(f) {
		if _, fd, err := steer.ReservePort(w.Local); err == nil {
			s.keepPort(w.Local, fd)
		}
	}
}
