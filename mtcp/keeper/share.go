// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// Share is what a user's processes have of what Config bounds, or may have: zero
// is no bound then. Everybody may connect to a keeper, and without it one user
// could take all there is.
type Share struct {
	Sessions  int
	Bytes     int64 // of their boxes
	Processes int
	Listeners int

	slots int // whose root has not spoken yet; as many as Sessions can have
}

// LimitError is one too many of something that Config bounds.
type LimitError struct {
	Limit uint32 // uapi.ScdSessions and so on
	User  bool   // one user may have no more of it; false: all of them together
	Most  int64
}

func (e *LimitError) Error() string {
	what := uapi.ScdLimitName(e.Limit)
	switch e.Limit {
	case uapi.ScdBytes:
		what = "bytes of boxes"
	case uapi.ScdBox:
		return fmt.Sprintf("at most %d bytes in a box", e.Most)
	}
	if e.User {
		return fmt.Sprintf("at most %d %s of one user", e.Most, what)
	}
	return fmt.Sprintf("at most %d %s of all users", e.Most, what)
}

// Unwrap is what a process in C is told.
func (e *LimitError) Unwrap() error {
	switch e.Limit {
	case uapi.ScdProcesses:
		return unix.EUSERS
	case uapi.ScdBox:
		return unix.EFBIG
	}
	return unix.EDQUOT
}

// plus is what there is after n times more.
func (s Share) plus(more Share, n int) Share {
	return Share{
		Sessions: s.Sessions + n*more.Sessions, Bytes: s.Bytes + int64(n)*more.Bytes,
		Processes: s.Processes + n*more.Processes, Listeners: s.Listeners + n*more.Listeners, slots: s.slots + n*more.slots,
	}
}

// mostSlots is where sessions have no bound.
const mostSlots = 1 << 20

// exceeds is the bound that one who has so much is beyond; nil: none.
func (most Share) exceeds(have Share, user bool) error {
	slots := int64(mostSlots)
	if most.Sessions > 0 {
		slots = int64(most.Sessions) * uapi.CboxProcsMax
	}
	for _, b := range []struct {
		limit      uint32
		have, most int64
	}{
		{uapi.ScdSessions, int64(have.Sessions), int64(most.Sessions)},
		{uapi.ScdBytes, have.Bytes, most.Bytes},
		{uapi.ScdProcesses, int64(have.Processes), int64(most.Processes)},
		{uapi.ScdListeners, int64(have.Listeners), int64(most.Listeners)},
		{uapi.ScdSlots, int64(have.slots), slots},
	} {
		if b.most > 0 && b.have > b.most {
			return &LimitError{b.limit, user, b.most}
		}
	}
	return nil
}

// all is what everybody together may have.
func (c *Config) all() Share {
	return Share{Sessions: c.Sessions, Bytes: c.Bytes, Processes: c.Processes, Listeners: c.Listeners}
}

// of is what a user may have.
func (c *Config) of(uid uint32) Share {
	if own, ok := c.Users[uid]; ok {
		return own
	}
	return c.User
}

// take gives a user more of all there is, if that is allowed; mu is held.
func (k *Keeper) take(uid uint32, more Share) error {
	all, user := k.all.plus(more, 1), k.shares[uid].plus(more, 1)
	err := k.cfg.of(uid).exceeds(user, true)
	if err == nil {
		err = k.cfg.all().exceeds(all, false)
	}
	if err != nil {
		k.refused++
		return err
	}
	k.all, k.shares[uid] = all, user
	return nil
}

// untake takes it back; mu is held.
func (k *Keeper) untake(uid uint32, less Share) {
	k.all = k.all.plus(less, -1)
	have := k.shares[uid].plus(less, -1)
	if k.shares[uid] = have; have == (Share{}) {
		delete(k.shares, uid)
	}
}

// Refused is how often somebody wanted more than Config allows.
func (k *Keeper) Refused() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refused
}

// asError is what a process makes of an answer.
func asError(a *uapi.ScdAnswer) error {
	what := uapi.ScdKindName(a.Kind)
	switch {
	case a.Limit != 0:
		return fmt.Errorf("keeper: %s: %w", what, &LimitError{a.Limit, a.User != 0, int64(a.Most)})
	case a.Error != 0:
		return fmt.Errorf("keeper: %s: %w", what, syscall.Errno(a.Error))
	}
	return nil
}
