// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"lazystate/backdoor/uapi"
)

// Session is one process's part in a session: its snapshots and its ends of
// channels. The root's is embedded in a Conn.
type Session struct {
	cfg    Config
	region Region
	head   *Head // as it was when opened: what is written once counts
	slot   uint32
	name   string

	mu     sync.Mutex
	m      memory
	words  words
	owner  uint32 // this process's, in its slot
	users  int    // goroutines that sleep on words of m
	closed bool
	moved  bool // the state said so once: m is not asked any more
	news   chan struct{}

	seq      uint64 // of the last snapshot
	ndi      bool
	shut     bool // the sending half was closed before the last snapshot
	resumed  []byte
	hasState bool
	ends     []*end     // of channels, in the order of the table
	root     *rootState // nil but for the root
}

var errLeaving = errors.New("session is leaving") // wait, then look again

// Open takes over a slot of a box: that of a process that has just been
// associated, or one whose process is dead. The region comes from another
// process and is checked. The root's slot is opened with Resume.
func Open(r Region, slot uint32, cfg Config) (*Session, error) {
	if slot == 0 {
		return nil, fmt.Errorf("open slot 0: the root's is resumed, with its connection")
	}
	s, err := open(r, slot, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.takeOver(); err != nil {
		s.m.unmap()
		return nil, fmt.Errorf("open slot %d of session %s: %w", slot, s.ID(), err)
	}
	return s, nil
}

func open(r Region, slot uint32, cfg Config) (*Session, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	m, err := r.mapped()
	if err != nil {
		return nil, err
	}
	h, err := readHead(m)
	if err == nil && !h.joined(slot) {
		err = damaged("slot", "%d is free", slot)
	}
	if err != nil {
		m.unmap()
		return nil, err
	}
	return &Session{cfg: cfg, region: r, m: m, head: h, slot: slot, name: nameOf(&h.ProcTable[slot]), news: make(chan struct{})}, nil
}

// liveReads is how often a copy of a head is taken before it is believed that
// the box is damaged and not in use: even processes that do nothing but write
// to it spoil one copy in three.
const liveReads = 32

// readHead copies the head of a mapped box and checks the copy. Others associate
// processes and move on in channels meanwhile, and no lock keeps them out: a copy
// of which two parts are of different moments is taken again.
func readHead(m memory) (h *Head, err error) {
	for range liveReads {
		if h, err = copyHead(m); err == nil {
			break
		}
	}
	return h, err
}

func copyHead(m memory) (*Head, error) {
	b := make([]byte, min(len(m), pageSize))
	copy(b, m)
	n, err := HeadLen(b)
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		b = make([]byte, min(len(m), n))
		copy(b, m)
	}
	return DecodeHead(b, uint64(len(m)))
}

func (s *Session) procOff(field int) uint64 {
	return uint64(s.head.Procs.Off) + uint64(s.slot)*uapi.CboxProcSize + uint64(field)
}

// words are those of the fence, looked at by every call; nil without m.
type words struct{ state, busy, owned *atomic.Uint32 }

// mark says that owner is inside, where seen said before who was. The slot may be
// another's since: who comes late must not take that one's mark for its own.
func (w words) mark(seen, owner uint32) bool {
	return (seen == 0 || w.owned.Load() == owner) && w.busy.CompareAndSwap(seen, owner)
}

// unmark is for an owner that was let in by nobody; another's mark stays.
func (w words) unmark(owner uint32) { w.busy.CompareAndSwap(owner, 0) }

func (s *Session) findWords() {
	s.words = words{
		s.m.word32(uapi.CboxHeadStateOff),
		s.m.word32(s.procOff(uapi.CboxProcBusyOff)),
		s.m.word32(s.procOff(uapi.CboxProcOwnerOff)),
	}
}

// begin reads the last snapshot and sets all positions by it.
func (s *Session) begin() error {
	h, err := readHead(s.m)
	if err != nil {
		return err
	}
	snap, err := lastSnapshot(s.m, &h.ProcTable[s.slot], len(h.ChanTable))
	if err != nil {
		return err
	}
	if snap == nil {
		snap = &Snapshot{}
	}
	if snap.Final || h.State == uapi.CboxClosed || h.ProcTable[s.slot].State == uapi.CboxProcDone {
		return fmt.Errorf("it was closed: %w", net.ErrClosed)
	}
	s.seq, s.ndi, s.shut = snap.Seq, snap.NDI, snap.Shut
	s.resumed, s.hasState = snap.Data, snap.Seq > 0
	if err := s.findEnds(h, snap); err != nil || s.root == nil {
		return err
	}
	return s.root.begin(h, snap)
}

// Import returns the state that was exported last, when the session began
// elsewhere or in another process; false if there is none, and the process
// begins at its initial state (§2.4.1).
func (s *Session) Import() ([]byte, bool) { return s.resumed, s.hasState }

// ID names the session on all servers.
func (s *Session) ID() ID { return s.head.ID() }

// Generation is 1 at the server that accepted the session, and one more with
// each move.
func (s *Session) Generation() uint64 { return s.head.Generation }

// Region is where the box lies, for whoever is to have it too.
func (s *Session) Region() Region { return s.region }

// enter begins an operation of this process: from here to leave, nobody takes
// the session's state. mu is held; nothing in between may block.
func (s *Session) enter() error {
	if s.closed {
		return net.ErrClosed
	}
	for seen := s.words.busy.Load(); !s.words.mark(seen, s.owner); seen = s.words.busy.Load() {
		if s.words.owned.Load() != s.owner {
			return s.why()
		}
	}
	if s.words.state.Load() == uapi.CboxLive && s.words.owned.Load() == s.owner {
		return nil
	}
	s.words.unmark(s.owner)
	return s.why()
}

func (s *Session) leave() { s.m.put32(s.procOff(uapi.CboxProcBusyOff), 0) }

// why tells what keeps enter out.
func (s *Session) why() error {
	if s.words.owned.Load() != s.owner {
		return &MigratedError{s.ID(), s.Generation(), true}
	}
	switch s.words.state.Load() {
	case uapi.CboxLive, uapi.CboxLeaving, uapi.CboxNew:
		return errLeaving
	case uapi.CboxClosed:
		return net.ErrClosed
	}
	return &MigratedError{s.ID(), s.Generation(), false}
}

// do runs an operation that does not block, once the session is here for good
// or gone.
func (s *Session) do(op func() error) error {
	for {
		s.mu.Lock()
		err := s.enter()
		if err == nil {
			err = op()
			if !s.closed {
				s.leave()
			}
			s.mu.Unlock()
			return err
		}
		s.mu.Unlock()
		if err != errLeaving {
			return err
		}
		s.await()
	}
}

// await sleeps while the session is leaving.
func (s *Session) await() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	seen := s.words.state.Load()
	s.users++
	s.mu.Unlock()
	if seen != uapi.CboxLive {
		s.m.sleep(uapi.CboxHeadStateOff, seen, s.procOff(uapi.CboxProcOwnerOff), s.owner, secondLook)
	}
	s.mu.Lock()
	s.unuse()
	s.mu.Unlock()
}

// unuse ends a sleep; the last sleeper of a closed session unmaps it.
func (s *Session) unuse() {
	if s.users--; s.closed && s.users == 0 {
		s.m.unmap()
		s.m = nil
	}
}

// look is called when the bell rings.
func (s *Session) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.moved {
		return
	}
	if err := s.why(); !errors.Is(err, ErrMigrated) {
		return
	}
	s.moved = true
	if s.root != nil {
		s.root.interrupt()
	}
}

// finish takes the last snapshot: nobody resumes this process.
func (s *Session) finish() error {
	return s.do(func() error {
		_, err := s.snapshot(nil, uapi.CboxSnapFinal|uapi.CboxSnapShut, copied)
		s.m.word32(s.procOff(uapi.CboxProcStateOff)).Store(uapi.CboxProcDone)
		return err
	})
}

// Close ends this process's part. What it held goes out, its channels end;
// nobody resumes it. After a move it only lets go of what is here.
func (s *Session) Close() error {
	err := s.do(func() error {
		for _, e := range s.ends {
			e.close()
		}
		return nil
	})
	if err == nil {
		err = s.finish()
	}
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.release()
	s.region.File.Close()
	if errors.Is(err, ErrMigrated) {
		return nil
	}
	return err
}

// release gives up the mapping; mu is held.
func (s *Session) release() {
	s.closed = true
	s.cfg.Bell.drop(s)
	for _, e := range s.ends {
		s.m.wake(e.wordOff)
	}
	s.m.wake(uapi.CboxHeadStateOff)
	if s.users == 0 {
		s.m.unmap()
		s.m = nil
	}
	s.tell()
}

// tell wakes goroutines of this process that wait for an export or the end.
func (s *Session) tell() {
	close(s.news)
	s.news = make(chan struct{})
}

// exports returns what is closed at this process's next export.
func (s *Session) exports() <-chan struct{} {
	if s.cfg.LogWait <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// retry decides whether a call that was kept out is to be made again: after
// the session has come back, or another goroutine has exported.
func (s *Session) retry(err error, by time.Time, news <-chan struct{}) (bool, error) {
	late := !by.IsZero() && !time.Now().Before(by)
	switch {
	case err == nil:
		return false, nil
	case err == errLeaving && late:
		return false, os.ErrDeadlineExceeded
	case err == errLeaving:
		s.await()
		return true, nil
	case news != nil && !late && errors.Is(err, ErrLogFull):
		select {
		case <-news:
			return true, nil
		case <-time.After(s.cfg.LogWait):
		}
	}
	return false, err
}
