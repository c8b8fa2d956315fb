// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// openSteer sets up what clients with an agent need (§2.5.2).
func (m *Mover) openSteer() (err error) {
	if m.key, err = m.journal.key(); err != nil {
		return err
	}
	m.servers = map[uint32]string{}
	for _, p := range m.cfg.Peers {
		for _, a := range p.Serves {
			id := wire.ServerID(a)
			if other, twice := m.servers[id]; twice {
				return fmt.Errorf("servers %s and %s: %s has a number that is there already", other, p.Name, a)
			}
			m.servers[id] = p.Name
			m.offered.Servers = append(m.offered.Servers, a)
		}
	}
	if len(m.cfg.Interfaces) == 0 {
		return nil
	}
	if m.sender, err = steer.NewSender(); err != nil {
		return err
	}
	if m.steer, err = steer.OpenServer(steer.ServerConfig{Interfaces: m.cfg.Interfaces, Holds: mostHolds}); err != nil {
		return err
	}
	for _, s := range m.cfg.Services {
		v := m.offered
		v.Listen, v.Takes, v.Offers, v.Key = s.Listen, true, len(v.Servers) > 0, m.key
		if err := m.steer.Serve(v); err != nil {
			return err
		}
	}
	m.deafen()
	return nil
}

// mostHolds are flows that have moved and are answered by silence (lingering), as many
// as one peer takes in that time and another sends, and those that are about to.
const mostHolds = 1 << 17

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

// interrupt ends who waits for segments.
func interrupt(s interface{ Interrupt() error }, log *slog.Logger) {
	if err := s.Interrupt(); err != nil {
		log.Error("end", "err", err)
	}
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
			m.refuses(e.Flow, o)
		case wire.MigrateWhere:
			m.sought(e, o)
		}
	}
}

// remember says whose the certificates are that clients have; of those without
// one an earlier one is forgotten.
func (m *Mover) remember(all ...certChange) error {
	m.mu.Lock()
	err := m.certs.note(all...)
	crowded := m.certs.crowd.due(len(m.certs.ids), time.Now())
	m.mu.Unlock()
	if crowded {
		err = errors.Join(err, m.forgetEnded())
	}
	return err
}

// forget does away with sessions' certificates.
func (m *Mover) forget(ids ...cbox.ID) error {
	all := make([]certChange, len(ids))
	for i, id := range ids {
		all[i].id = id
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.certs.note(all...)
}

// mostCerts is from when on it is looked which sessions have ended. There are no more
// certificates than twice the sessions that live, or this.
const mostCerts = 4096

func (m *Mover) forgetEnded() error {
	alive := map[cbox.ID]bool{}
	for _, i := range m.cfg.Keeper.Sessions() {
		alive[i.ID] = true
	}
	m.mu.Lock()
	var ended []cbox.ID
	for id := range m.certs.shown {
		if !alive[id] {
			ended = append(ended, id)
		}
	}
	m.certs.crowd.looked(len(m.certs.shown)-len(ended), time.Now())
	m.mu.Unlock()
	return m.forget(ended...)
}
