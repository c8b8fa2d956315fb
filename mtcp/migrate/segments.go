// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// openSteer sets up what clients with an agent need (§2.5.2).
func (m *Mover) openSteer() (err error) {
	rand.Read(m.key[:]) // certificates end with this daemon, as its sessions do
	m.servers = map[uint32]string{}
	var offered []netip.AddrPort
	for _, p := range m.cfg.Peers {
		for _, a := range p.Serves {
			id := wire.ServerID(a)
			if other, twice := m.servers[id]; twice {
				return fmt.Errorf("servers %s and %s: %s has a number that is there already", other, p.Name, a)
			}
			m.servers[id] = p.Name
			offered = append(offered, a)
		}
	}
	if len(m.cfg.Interfaces) == 0 {
		return nil
	}
	if m.sender, err = steer.NewSender(); err != nil {
		return err
	}
	if m.steer, err = steer.OpenServer(steer.ServerConfig{Interfaces: m.cfg.Interfaces}); err != nil {
		return err
	}
	for _, s := range m.cfg.Services {
		if err := m.steer.Serve(steer.Service{Listen: s.Listen, Takes: true, Offers: len(offered) > 0, Key: m.key, Servers: offered}); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mover) closeSteer() error {
	var err error
	if m.steer != nil {
		err = m.steer.Close()
	}
	if m.sender != nil {
		err = errors.Join(err, m.sender.Close())
	}
	return err
}

// segments takes what the kernel's programs hand over, until its deadline.
func (m *Mover) segments() {
	for {
		e, err := m.steer.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			m.log.Error("segments of clients", "err", err)
			return
		}
		switch o := e.Segment.Migration().(type) {
		case wire.MigrateRequest:
			m.requested(e, o)
		case wire.RcvdWhileMigrating:
			m.acked(e, o)
		case wire.MigrateRefuse:
			m.stays(e.Flow, o)
		}
	}
}

// remember says whose a certificate is that this server gave out.
func (m *Mover) remember(c wire.Certificate, id cbox.ID) {
	m.forget(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.certs[c] = id
}

// forget does away with a session's certificate, and with those of sessions
// that have ended.
func (m *Mover) forget(id cbox.ID) {
	alive := map[cbox.ID]bool{}
	for _, i := range m.cfg.Keeper.Sessions() {
		alive[i.ID] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, other := range m.certs {
		if other == id || !alive[other] {
			delete(m.certs, c)
		}
	}
}
