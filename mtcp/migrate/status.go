// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lazystate/mtcp/wire"
)

// Status is what a server tells its peers of itself, for policies (§2.6.2), and
// so that a session whose address has moved is asked for where it is.
type Status struct {
	Sessions, Capacity uint32
	Here               []netip.Addr // that may move, and are here
	At                 time.Time    // it was heard
}

// mostHere bounds the addresses of a status.
const mostHere = 1024

func (s Status) append(b []byte) []byte {
	b = le.AppendUint32(le.AppendUint32(b, s.Sessions), s.Capacity)
	for _, a := range s.Here[:min(len(s.Here), mostHere)] {
		ip := a.As16()
		b = append(b, ip[:]...)
	}
	return b
}

func parseStatus(b []byte) (s Status, err error) {
	if len(b) < 8 || (len(b)-8)%16 != 0 || (len(b)-8)/16 > mostHere {
		return s, &MalformedError{"status", fmt.Sprintf("%d bytes", len(b))}
	}
	s.Sessions, s.Capacity = le.Uint32(b), le.Uint32(b[4:])
	for ip := range slices.Chunk(b[8:], 16) {
		s.Here = append(s.Here, netip.AddrFrom16([16]byte(ip)).Unmap())
	}
	return s, nil
}

// How often a server says how it is: when anything has changed, and otherwise.
const (
	statusEvery = 250 * time.Millisecond
	statusLeast = 2 * time.Second
)

// Status is this server's.
func (m *Mover) Status() Status {
	s := Status{Sessions: uint32(m.cfg.Keeper.Count()), Capacity: uint32(m.cfg.Capacity), At: time.Now()}
	for _, v := range m.cfg.Services {
		a := v.Listen.Addr()
		if v.Device == "" || slices.Contains(s.Here, a) {
			continue
		}
		if here, err := m.Has(a); err == nil && here {
			s.Here = append(s.Here, a)
		}
	}
	return s
}

// Peers are the others', as far as they have said anything lately.
func (m *Mover) Peers() map[string]Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]Status{}
	for name, s := range m.statuses {
		if time.Since(s.At) < 3*statusLeast {
			out[name] = s
		}
	}
	return out
}

// report tells peers.
func (m *Mover) report() {
	t := time.NewTicker(statusEvery)
	defer t.Stop()
	var last []byte
	var said time.Time
	for {
		body := m.Status().append(nil)
		if !bytes.Equal(body, last) || time.Since(said) > statusLeast {
			last, said = body, time.Now()
			for _, p := range m.cfg.Peers {
				// One that is not there is told when it is.
				_ = m.mesh.send(link{p.Name, true}, frame{kind: status, body: body})
			}
		}
		select {
		case <-t.C:
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *Mover) reported(l link, body []byte) {
	s, err := parseStatus(body)
	if err != nil {
		m.log.Warn("another server's status", "peer", l.peer, "err", err)
		return
	}
	s.At = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statuses[l.peer] = s
}

// serverOf is whom a client means: the peer that serves there, or to which an
// address has moved.
func (m *Mover) serverOf(id uint32) (string, bool) {
	if name, ok := m.servers[id]; ok {
		return name, true
	}
	for _, v := range m.cfg.Services {
		if v.Device == "" || wire.ServerID(v.Listen) != id {
			continue
		}
		for name, s := range m.Peers() {
			if slices.Contains(s.Here, v.Listen.Addr()) {
				return name, true
			}
		}
	}
	return "", false
}
