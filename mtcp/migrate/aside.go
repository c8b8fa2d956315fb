// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"lazystate/mtcp/escrow"
)

// guarded does something about a session that a former daemon has left in escrow. One
// over which this one panics would have the next one panic too, and the others would
// wait for ever: it is set aside. Whatever takes a lock on the way has to give it back
// by defer.
func (m *Mover) guarded(key escrow.Key, socket *os.File, e entrusted, do func()) (done bool) {
	defer func() {
		why := recover()
		if why == nil {
			return
		}
		m.isAside(e, why, string(debug.Stack()))
		if err := m.setAside(key, socket, e, why); err != nil {
			m.log.Error("a session is not kept until scd release", "client", e.Remote, "at", e.Local, "err", err)
		}
	}()
	do()
	return true
}

func (m *Mover) isAside(e entrusted, why any, stack string) {
	m.log.Error("a session that a former daemon had is set aside, until scd release", "client", e.Remote, "at", e.Local, "why", why, "stack", stack)
}

// setAside leaves only the connection in escrow, and why nobody is to touch it.
func (m *Mover) setAside(key escrow.Key, socket *os.File, e entrusted, why any) error {
	e.Aside = fmt.Sprintf("%.*s", mostWhy, fmt.Sprint(why))
	about, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return m.cfg.Escrow.Put(escrow.Deposit{Key: key, About: about, FDs: []int{int(socket.Fd())}})
}

// sortOut looks at what is in escrow: what was never to live ends in silence, as it
// would have with the daemon; the rest waits for Run.
func (m *Mover) sortOut(left []escrow.Item) {
	for _, it := range left {
		if len(it.Files) == 0 {
			m.cfg.Escrow.Drop(it.Key) // whatever that was
			continue
		}
		if !m.guarded(it.Key, it.Files[0], entrusted{}, func() { m.sortOutOne(it) }) {
			it.Close()
		}
	}
}

func (m *Mover) sortOutOne(it escrow.Item) {
	m.point("found")
	f, err := m.find(it)
	switch {
	case err == nil && f.Aside != "":
		m.isAside(f.entrusted, f.Aside, "of an earlier daemon's")
		_ = f.socket.Close()
		return
	case err == nil && (f.state == nil || f.Salvaged || m.journal.noted(f.move)):
		m.found = append(m.found, f)
		return
	case err == nil:
		err = m.abandon(f)
	}
	m.cfg.Escrow.Drop(it.Key)
	if err != nil {
		m.log.Error("what a former daemon has left in escrow", "err", err)
	}
}

func (m *Mover) abandon(f *found) error {
	c, err := f.coming(m)
	if err == nil {
		c.Restored.Abandon()
	}
	return errors.Join(err, f.socket.Close(), f.region.File.Close())
}
