// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/repair"
	"lazystate/repair/policy"
)

// Bounds of what is asked. What does not answer within them is a no.
const (
	readWithin   = 10 * time.Second
	lockWithin   = 8 * time.Second
	repairWithin = 60 * time.Second
	hopelessFor  = 10 * time.Second // instead, where the target was neither read nor locked
	overdue      = 2 * time.Second  // longer than its bound a question may take to return
)

// answer to one question; why says what went wrong.
type answer struct {
	yes  bool
	took time.Duration
	why  string
}

// askAgain is how long is waited after a question that was not answered: a carrier
// that lost its connection makes a new one meanwhile.
const askAgain = 200 * time.Millisecond

// ask asks until there is an answer, no longer than within.
func ask(ctx context.Context, within time.Duration, question func(context.Context) error) answer {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	began := time.Now()
	for {
		err := once(ctx, question)
		a := answer{yes: err == nil, took: time.Since(began)}
		if err != nil {
			a.why = err.Error()
		}
		if !errors.Is(err, backdoor.ErrUnanswered) || pause.For(ctx, askAgain) != nil {
			return a
		}
	}
}

// once asks; a question that does not look at its context is left alone.
func once(ctx context.Context, question func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- question(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(overdue):
		return ctx.Err()
	}
}

// hand is a carrier by which the target is read, locked and repaired.
type hand struct {
	carrier guest.Carrier
	slot    uint32
	key     uapi.Key
	target  *backdoor.Target
}

// read fetches the Sensor Box and walks the process table.
func (h *hand) read(ctx context.Context) error {
	if err := h.target.Check(ctx); err != nil {
		return err
	}
	p := h.patient()
	if _, err := p.Sensors(ctx); err != nil {
		return err
	}
	list, err := h.target.Tasks(ctx, backdoor.WalkOptions{})
	if err == nil && len(list.Tasks) == 0 {
		err = errors.New("the process table is empty")
	}
	return err
}

// lock takes the OS lock, has it confirmed, and gives it back.
func (h *hand) lock(ctx context.Context) error {
	held, err := h.target.Lock(ctx, backdoor.LockOptions{
		Slot: h.slot, Key: h.key, Lease: 3 * time.Second, Drain: 100 * time.Millisecond, Flags: uapi.LockNMI | uapi.LockDrain, Timeout: lockWithin - 2*time.Second,
	})
	if err != nil {
		return err
	}
	return errors.Join(held.Confirm(ctx), held.Unlock(ctx))
}

// repair ends all processes of the carrier's rogue user, under the lock, and sees
// them gone.
func (h *hand) repair(ctx context.Context) error {
	uid := uint32(rogueUID(h.carrier))
	left, err := h.left(ctx, uid)
	if err != nil {
		return err
	}
	if left == 0 {
		return errors.New("there is nothing to repair: the rogue processes are not there")
	}
	reaper := repair.Reaper{Settle: repairWithin / 2}
	in := &repair.Incident{ID: "survival", Patient: h.patient(), Attempt: 1, Began: time.Now()}
	plan := &repair.Plan{Diagnosis: policy.Diagnosis{Findings: []policy.Finding{{Policy: "survival", UID: uid}}}}
	if _, err := reaper.Apply(ctx, in, plan); err != nil {
		return err
	}
	for {
		if left, err = h.left(ctx, uid); err == nil && left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d rogue processes are left", left), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// left counts the processes of a user that have not ended.
func (h *hand) left(ctx context.Context, uid uint32) (n int, err error) {
	list, err := h.target.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return 0, err
	}
	for i := range list.Tasks {
		if t := &list.Tasks[i]; t.UID == uid && t.MM != 0 {
			n++
		}
	}
	return n, nil
}

func (h *hand) patient() *repair.Patient {
	return &repair.Patient{Name: string(h.carrier), Target: h.target, Slot: h.slot, Key: h.key, Audit: repair.NewAudit(io.Discard)}
}

// turns is the order in which carriers act: drawn, but mapped memory last.
func turns(seed uint64) []guest.Carrier {
	order := slices.Clone(guest.Carriers[:2])
	if seed%2 == 1 {
		slices.Reverse(order)
	}
	return append(order, guest.INIC)
}
