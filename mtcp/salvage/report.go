// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/landing"
)

// Report is what came of it.
type Report struct {
	Steps    []Step
	Sessions []Outcome // in the order of the target's directory
	Reads    uint64    // of the target's memory, behind the fence
	Batches  uint64    // that they took
	Bytes    uint64    // that were read
}

// Step is when something was done, since Run began.
type Step struct {
	Name string
	At   time.Duration
}

// Outcome is what became of one session.
type Outcome struct {
	Entry         int // in the target's directory
	Local, Remote netip.AddrPort
	ID            cbox.ID
	Name          string // of the service

	Err   error // why it does not live here; nil: it does
	Here  bool  // it has lived here since a salvage that did not come to its end
	Held  bool  // its socket was stopped half-updated
	Asked bool  // its client has said what it has
	Notes []string
	Start mtcp.Start    // what was known of its path: see Path.Start
	Live  time.Duration // when it went on, since Run began
}

// Saved counts the sessions that live here.
func (r *Report) Saved() (n int) {
	for i := range r.Sessions {
		if r.Sessions[i].Err == nil {
			n++
		}
	}
	return n
}

// name reports a session.
func (r *run) name(s *session) {
	r.lose(s)
	r.report.Sessions = append(r.report.Sessions, s.Outcome)
	switch {
	case s.Err != nil:
	case s.Here:
		r.logOf(s).Info("salvage: a session lives here since before")
	default:
		r.logOf(s).Info("salvage: a session lives here", "asked", s.Asked, "half-updated", s.Held, "after", s.Live, "notes", s.Notes)
	}
}

func (r *run) logOf(s *session) *slog.Logger {
	return r.Log.With("session", s.ID, "service", s.Name, "local", s.Local, "client", s.Remote)
}

// lose has the client of a session that is lost told so, once: by our kernel, which
// knows nothing of the connection.
func (r *run) lose(s *session) {
	if s.Err == nil || s.lost {
		return
	}
	s.lost = true
	log := r.logOf(s)
	log.Error("salvage: a session is lost", "err", s.Err)
	if aside := (*SetAsideError)(nil); errors.As(s.Err, &aside) {
		r.note(s, func(l landing.Ledger, id cbox.ID) error { return l.SetAside(id, aside.Why) })
	}
	if err := r.release(s); err != nil {
		log.Error("salvage: the gate of a lost session", "err", err)
	}
	if r.serves(s.Local.Addr()) {
		if err := r.Place.Provoke(s.Local, s.Remote); err != nil {
			log.Warn("salvage: the client of a lost session is not told", "err", err)
		}
	}
}
