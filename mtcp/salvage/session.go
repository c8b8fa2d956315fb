// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
)

// session is one on its way.
type session struct {
	Outcome
	box    *backdoor.Box
	flow   steer.Flow
	held   bool // by the gate
	found  *extract.Found
	facts  landing.Facts
	policy mtcp.Policy
	owes   bool             // its client waits for something, as far as can be seen
	socket *tcprepair.Empty // what is to be its
	plan   *landing.Session // restored
	over   func()           // nobody need keep it any more; nil: nobody does
	trial  uint32           // uapi.CboxTrial*, of its box
	again  bool             // it is tried once more, after the others
	lost   bool             // its client has been told
}

// unread forgets what was read of it.
func (s *session) unread() {
	*s = session{Outcome: Outcome{Entry: s.Entry, Local: s.Local, Remote: s.Remote}, box: s.box, flow: s.flow, held: s.held}
}

// open reads the box and decides what of it moves. What the client says later
// changes only where sending begins.
func (s *session) open(read func([]backdoor.VARead) error, p mtcp.Policy) error {
	d := s.found.Dump
	if d.Local != s.box.Local || d.Remote != s.box.Remote {
		return &backdoor.CorruptError{What: "box", Why: fmt.Sprintf("its socket is %s of %s", d.Local, d.Remote)}
	}
	fetch := s.fetch(read)
	im, err := cbox.ReadImage(s.box.Len(), fetch)
	if err != nil {
		return err
	}
	s.ID, s.policy, s.trial = im.Head.ID(), p, im.Trial()
	s.Name = uapi.CString(im.Head.ProcTable[0].Name[:])
	if state := im.Head.State; state != uapi.CboxLive && state != uapi.CboxClosed {
		return fmt.Errorf("%w: box in state %d", ErrMoved, state)
	}
	s.facts = landing.Facts{Name: s.Name, Dump: d, Image: im}
	if err := s.place(); err != nil {
		return err
	}
	plan, err := landing.Plan(s.facts, p)
	if err != nil {
		return err
	}
	if err := im.Fill(fetch, plan.Move, p); err != nil {
		return err
	}
	s.owes = s.found.Spoke || len(d.In) > 0 || len(d.Out) > 0 || !s.resting()
	return nil
}

// fetch reads what a box has at its offsets.
func (s *session) fetch(read func([]backdoor.VARead) error) cbox.Fetch {
	return func(exts []cbox.Extent) error {
		var all []backdoor.VARead
		for _, e := range exts {
			reads, err := s.box.Reads(e.Off, e.Buf)
			if err != nil {
				return err
			}
			all = append(all, reads...)
		}
		return read(all)
	}
}

// place says where the application was, in offsets of the session's.
func (s *session) place() error {
	read, written, ok := s.found.Positions(extract.Firsts{Receive: s.box.RcvFirst, Send: s.box.SndFirst})
	if !ok {
		return &backdoor.CorruptError{What: "box", Why: fmt.Sprintf("first numbers %d and %d", s.box.RcvFirst, s.box.SndFirst)}
	}
	head := s.facts.Image.Head
	s.facts.Read, s.facts.Written = read+head.ReadBase, written+head.WriteBase
	return nil
}

// restore makes its box and its socket here, which says nothing yet. The error leaves
// nothing behind.
func (s *session) restore(r *run) error {
	defer s.socket.Close()
	if err := s.whole(); err != nil {
		return err
	}
	s.clock()
	if err := s.place(); err != nil {
		return err
	}
	uid, err := r.Owner(s.Name, s.Local, s.box.UID)
	if err != nil {
		return err
	}
	plan, err := landing.Plan(s.facts, s.policy)
	if err != nil {
		return err
	}
	plan.Image.Repeat = plan.Move.Repeat // the client's FIN may have been news
	if err := plan.Plant(); err != nil {
		return err
	}
	plan.Box.Try(s.again)
	// Asked or not, Dump says what counts as sent.
	if err = plan.RestoreOn(r.Stack, s.socket, false); err == nil {
		err = plan.Reserve(r.Keeper, uid)
	}
	if err != nil {
		return errors.Join(err, plan.Drop())
	}
	s.plan = plan
	return nil
}

// live has the session go on here. The error leaves nothing behind.
func (s *session) live(r *run) error {
	// The socket is there and deaf: nobody answers for it any more. It begins by
	// asking what the client grants, and an answer that is dropped costs seconds.
	if err := r.release(s); err != nil {
		return s.ends(errors.Join(err, s.plan.Drop()))
	}
	r.Point("let in")
	if err := s.plan.Live(r.Point, s.over); err != nil {
		return s.ends(errors.Join(err, s.plan.Lose()))
	}
	return nil
}

// ends has whoever keeps it give it up, too.
func (s *session) ends(err error) error {
	if s.over != nil {
		s.over()
	}
	return err
}

// stampMargin takes the timestamps' clock beyond all that a client may have seen of
// a machine that died while it was sending (DECISION 31).
const stampMargin = time.Minute

// clock sets it forward where nothing counts as sent. Elsewhere the first
// acknowledgement may echo a stamp of before, and whatever was added would be taken for
// the round trip; there the clock is that of the last segment. For how long the machine
// was silent since is nowhere in it: a client compares with what it has heard (RFC 7323,
// section 5), and behind the fence it has heard nothing younger.
func (s *session) clock() {
	if d := s.found.Dump; d.Nxt == d.Una {
		d.Elapse(stampMargin)
	}
}

// whole has holes of the send queue filled by the replay: it writes again what
// lies behind the last snapshot. A client that has answered has none of what lies
// behind its answer; one that has not may have all that was sent.
func (s *session) whole() error {
	d := s.found.Dump
	hole, whole := s.found.Whole(d.Una, d.Write)
	if whole {
		return nil
	}
	from := seqnum.Max(hole.From, d.Una)
	end := s.facts.Written - uint64(from.Size(d.Write)) // without a FIN, which End refuses
	if end < s.facts.Image.Root().LSW || !s.found.End(from) {
		return hole.Why
	}
	s.Notes = append(s.Notes, fmt.Sprintf("%d bytes are for the replay to write again: %v", from.Size(hole.To), hole.Why))
	return nil
}
