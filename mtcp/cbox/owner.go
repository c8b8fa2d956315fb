// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// settleTime is how long a process that takes over a slot waits for the one
// before it to leave a call that does not block. One that was stopped there
// would go on writing when it wakes: it has to be killed first.
const settleTime = 2 * time.Second

// takeOver makes this process the owner of its slot, which ends whatever an
// earlier owner does, and goes to its last snapshot.
func (s *Session) takeOver() error {
	s.findWords()
	s.owner = s.words.owned.Add(1)
	before := s.m.word64(s.procOff(uapi.CboxProcPIDOff))
	if err := settle(s.words.busy, func() bool { return Alive(before.Load()) }, settleTime); err != nil {
		return fmt.Errorf("take over slot %d from process %d: %w", s.slot, before.Load(), err)
	}
	s.disclaim()
	for err := s.begin(); err != nil; err = s.begin() {
		if again, err := s.unlessGone(err); !again {
			return err
		}
	}
	if !s.signs(before) {
		return s.why()
	}
	s.m.word32(s.procOff(uapi.CboxProcStateOff)).Store(uapi.CboxProcLive)
	s.cfg.Bell.add(s)
	return nil
}

// unlessGone is what there is to say of an error: nothing of it counts if the session
// is leaving, for its socket is that of nobody then. If it stays after all, again says
// that it is to be begun with once more.
func (s *Session) unlessGone(err error) (again bool, _ error) {
	for end := time.Now().Add(settleTime); s.words.state.Load() == uapi.CboxLeaving && time.Now().Before(end); {
		again = true
		time.Sleep(time.Millisecond)
	}
	if gone := s.why(); errors.Is(gone, ErrMigrated) {
		return false, gone
	}
	return again && s.words.state.Load() == uapi.CboxLive, err
}

// signs writes this process's pid over that of the one before, unless another has
// taken the slot over meanwhile: that one's must stay, or its death and ours would
// be mistaken for each other.
func (s *Session) signs(pid *atomic.Uint64) bool {
	for {
		before := pid.Load()
		if s.words.owned.Load() != s.owner {
			return false
		}
		if pid.CompareAndSwap(before, uint64(os.Getpid())) {
			return true
		}
	}
}

// errBusy is a process that stays inside an operation: it was stopped there.
var errBusy = errors.New("it is in the middle of an operation and does not go on: kill it first")

// settle waits until a process is in no operation, or dead.
func settle(busy *atomic.Uint32, alive func() bool, most time.Duration) error {
	for end := time.Now().Add(most); busy.Load() != 0; time.Sleep(20 * time.Microsecond) {
		if !alive() {
			busy.Store(0)
			return nil
		}
		if time.Now().After(end) {
			return errBusy
		}
	}
	return nil
}

// Alive reports whether there is such a process, for all that can be seen from
// this one's namespace. A zombie writes no more.
func Alive(pid uint64) bool {
	if pid == 0 || int64(pid) < 0 || unix.Kill(int(pid), 0) == unix.ESRCH {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(stat, ')'); err == nil && i >= 0 && i+2 < len(stat) {
		return stat[i+2] != 'Z' && stat[i+2] != 'X'
	}
	return true
}
