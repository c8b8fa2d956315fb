// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/bdmon/etcd"
)

// claim asks for the target's writer's place, and answers the fleet's question.
func (w *watch) claim(c fleet.Claim) {
	ctx, cancel := context.WithTimeout(w.healing, claimBound)
	defer cancel()
	t, err := w.takePlace(ctx)
	if err != nil {
		no := w.refusal(err)
		no.Ask = c.Ask
		w.d.loop.tell(no)
		return
	}
	w.mu.Lock()
	w.claimed = t
	w.mu.Unlock()
	w.d.loop.tell(fleet.Granted{Target: w.cfg.Name, Ask: c.Ask, Epoch: t.epoch, Until: t.until})
}

// takePlace gets an epoch from where epochs come from, and takes the place with it.
func (w *watch) takePlace(ctx context.Context) (*term, error) {
	t := &term{target: w.mon.Target()}
	if t.target == nil {
		return nil, errors.New("target is not watched now: " + w.mon.Status().Error)
	}
	var ok bool
	if t.place, ok = t.target.Memory().(backdoor.WritersPlace); !ok {
		return nil, fmt.Errorf("carrier %s keeps no writer's place", t.target.Memory().Caps().Carrier)
	}
	var err error
	roll := w.d.loop.roll
	for range claimTries {
		var last backdoor.OwnerView
		if last, err = t.place.Owner(ctx); err != nil {
			return nil, err
		}
		if t.epoch, t.until, err = roll.Number(ctx, w.cfg.Name, last.Epoch); err != nil {
			return nil, err
		}
		err = w.own(ctx, t)
		var stale *backdoor.StaleOwnerError
		if err == nil || !errors.As(err, &stale) {
			break // an epoch that was good when it was asked for may be stale by now
		}
	}
	if err != nil {
		return nil, errors.Join(err, roll.Abandon(ctx, w.cfg.Name, t.epoch))
	}
	return t, nil
}

const claimTries = 3

// own takes the place, and sees whether it has a lease.
func (w *watch) own(ctx context.Context, t *term) error {
	me := backdoor.Owner{Epoch: t.epoch, Monitor: w.cfg.Slot, Name: w.d.loop.cfg.Self}
	lease, sent := w.d.loop.cfg.Term(), fleetClock()
	if err := t.place.Own(ctx, me, lease); err != nil {
		return err
	}
	v, err := t.place.Owner(ctx)
	if err != nil {
		return errors.Join(err, t.place.Disown(ctx))
	}
	if t.leased = v.Left > 0; t.leased {
		t.until = earlier(t.until, fleet.Proof(sent, lease))
	}
	return nil
}

// earlier of two ends, of which 0 is none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// renew proves again what has an end: the lease of the place, if it has one,
// and that of this monitor where the fleet meets.
func (w *watch) renew(r fleet.Renew) {
	w.mu.Lock()
	t := w.term
	w.mu.Unlock()
	if t == nil || t.epoch != r.Epoch {
		return
	}
	until, err := w.prove(t)
	if err == nil && !w.extend(t.epoch, until) {
		err = errLapsed
	}
	if err != nil {
		no := w.refusal(err)
		no.Epoch = r.Epoch
		w.d.loop.tell(no)
		return
	}
	w.d.loop.tell(fleet.Granted{Target: w.cfg.Name, Epoch: t.epoch, Until: until})
}

var errLapsed = errors.New("the lease ended before it was renewed")

func (w *watch) prove(t *term) (time.Duration, error) {
	until, err := w.d.loop.roll.Proof(w.cfg.Name, t.epoch)
	if err != nil || !t.leased {
		return until, err
	}
	lease, sent := w.d.loop.cfg.Term(), fleetClock()
	ctx, cancel := context.WithTimeout(t.ctx, lease)
	defer cancel()
	err = t.place.Own(ctx, backdoor.Owner{Epoch: t.epoch, Monitor: w.cfg.Slot, Name: w.d.loop.cfg.Self}, lease)
	return earlier(until, fleet.Proof(sent, lease)), err
}

// refusal says who is in the way, and whether what was held is lost.
func (w *watch) refusal(err error) fleet.Refused {
	no := fleet.Refused{Target: w.cfg.Name, Why: err.Error()}
	var owned *backdoor.OwnedError
	var stale *backdoor.StaleOwnerError
	switch {
	case errors.As(err, &owned):
		no.Lost, no.Left = true, owned.By.Left
		if owned.By.Epoch > 0 {
			no.Holder = owned.By.Owner.String()
		}
	case errors.As(err, &stale):
		no.Lost = true
	default:
		for _, lost := range []error{errLapsed, etcd.ErrLost, backdoor.ErrReplaced, backdoor.ErrWithdrawn, backdoor.ErrGone, backdoor.ErrClosed} {
			no.Lost = no.Lost || errors.Is(err, lost)
		}
	}
	return no
}
