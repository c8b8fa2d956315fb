// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
)

// fence stops the target for good. Cut off at its port it is as good as stopped:
// nobody hears it (§3.5.1).
func (r *run) fence() error {
	err := r.Fence(r.ctx)
	var port *backdoor.PortOnlyError
	if errors.As(err, &port) {
		r.Log.Warn("salvage: the target's CPUs have not stopped, but its port is cut", "err", err)
		r.portOnly = true
		return nil
	}
	if err == nil {
		err = r.still()
	}
	return err
}

// Stands reports why a machine may still speak for its addresses, to whoever relies on
// another's fence. portCut: that one has said that its port is cut and its CPUs have
// not answered; then the error is a *backdoor.PortOnlyError.
func Stands(ctx context.Context, t *backdoor.Target, portCut bool) error {
	if portCut {
		return &backdoor.PortOnlyError{Err: errors.New("as who asks has said")}
	}
	v, err := t.LockView(ctx)
	if err != nil {
		return err
	}
	if v.State != uapi.LockFenced || !v.Free.Empty() {
		return errors.New("it is not fenced, or not wholly: two machines would speak for its addresses")
	}
	return nil
}

// Inherits reports why the sessions of a machine are not this recovery node's, which is
// called so: they were given to another one when it was fenced (a *backdoor.HeirError),
// which may serve them by now, however little is heard of it. Of a machine that has no such
// fence, or lets nobody read it, that is not known.
func Inherits(ctx context.Context, t *backdoor.Target, heir backdoor.Heir) error {
	is, err := t.Heir(ctx)
	var no *backdoor.AccessError
	switch {
	case errors.Is(err, backdoor.ErrNoRegion), errors.As(err, &no):
		return nil
	case err != nil:
		return err
	case is != 0 && is != heir:
		return &backdoor.HeirError{Is: is, Wanted: heir}
	}
	return nil
}

// read reads sockets and boxes of all that there is hope for, and of the same ones when it
// is called again: what was known of them by then is forgotten.
func (r *run) read() error {
	if r.hoped == nil {
		r.hoped = r.live()
	}
	return r.heard(r.readHoped)
}

func (r *run) readHoped() error {
	for _, s := range r.hoped {
		s.unread()
	}
	if err := r.extract(r.hoped); err != nil {
		return err
	}
	if err := r.settle(r.hoped); err != nil {
		return err
	}
	return r.Target.Check(r.ctx)
}

// errWoke: what was read may be of two moments.
var errWoke = errors.New("CPUs of the target have run while its memory was read")

// believe waits until it is known whether memory has changed while it was read: where the
// port alone is cut, CPUs that run stop at the request that lies there. Once they have,
// nothing changes any more, and what is read again is believed. Until then clients are
// asked, which acknowledges no more than the target has had, and sockets are made, which
// are dropped in silence; but nothing lives here, no process and nobody else is given
// anything, and no session is set aside. Where the fence spares a CPU no process may have
// run there since.
func (r *run) believe() (err error) {
	var woke bool
	switch {
	case r.portOnly:
		woke, err = r.woke()
		r.portOnly = err != nil
	case r.spares:
		since := r.since
		err = r.still()
		woke = r.since != since
		r.spares = woke
	}
	if err == nil && woke {
		err = errWoke
	}
	return err
}

// The fence was asked for before the run began. Once that is longer ago than
// backdoor.PollPeriod, a CPU that takes interrupts only now has its poll overdue, and
// finds the request before anything else.
const (
	wakes = 2 * time.Millisecond  // then it is known whether any has run
	halts = 50 * time.Millisecond // then those that have not stopped hang, and change nothing
)

// woke reports whether CPUs of the target have run while its memory was read, and
// waits until they stand. Of a panic there is one that runs, if any, and has done so
// all the time: it has been seen.
func (r *run) woke() (bool, error) {
	stamp, err := r.Target.PanicStamp(r.ctx)
	if err != nil {
		return false, err
	}
	end, fenced := time.Now().Add(wakes), false
	if seen := r.began.Add(3 * backdoor.PollPeriod / 2); seen.After(end) {
		end = seen // whoever has fenced it may have waited for nobody
	}
	if stamp != nil && stamp.Cause == uapi.PanicPanic {
		end = time.Now()
	}
	for {
		v, err := r.Target.LockView(r.ctx)
		torn := errors.Is(err, backdoor.ErrTorn) // it is being fenced just now, or died of that
		if err != nil && !torn {
			return false, err
		}
		if (torn || v.State == uapi.LockFenced) && !fenced {
			fenced, end = true, time.Now().Add(halts)
		}
		if fenced && !torn && v.Free.Empty() || time.Now().After(end) {
			return fenced, nil
		}
		if err := pause.For(r.ctx, wakes/4); err != nil {
			return false, err
		}
	}
}
