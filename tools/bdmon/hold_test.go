// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/repair"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
	"lazystate/tools/bdmon/config"
	"lazystate/tools/control"
)

// The timer of a hold that was given back in the same moment leaves the next alone.
func TestLateTimerEndsNoOtherHold(t *testing.T) {
	next := &hold{}
	w := &watch{held: next}
	if err := w.end(&hold{}, "its time is over"); !errors.Is(err, control.ErrFalse) || w.held != next {
		t.Errorf("%v, held %p of %p", err, w.held, next)
	}
}

// watched is a target that a monitor samples, and owns until its term is cancelled.
func watched(t *testing.T) (w *watch, log *bytes.Buffer) {
	t.Helper()
	target := bdtest.New(bdtest.WithKey(0, key), bdtest.WithFence())
	log = &bytes.Buffer{}
	w = &watch{
		d: &daemonState{audit: repair.NewAudit(log)}, key: key, cfg: config.Target{Name: "t1", KeyFile: "its key is here already"},
		mon: monitor.New(monitor.Options{
			Open: func(context.Context) (backdoor.Memory, error) { return target.Memory(), nil },
			Sink: func(*backdoor.Target, sensorbox.Event) {},
		}),
		term: &term{},
	}
	w.term.ctx, w.term.cancel = context.WithCancel(t.Context())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.mon.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	for end := time.Now().Add(time.Minute); w.mon.Target() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the target is not watched")
		}
	}
	return w, log
}

// Whoever waits behind a repair asks again when it is through: the ownership may
// have ended meanwhile, and another monitor have begun.
func TestOwnershipIsAskedAfterTheWait(t *testing.T) {
	for name, do := range map[string]func(*watch) error{
		"kill": func(w *watch) error {
			return w.kill(t.Context(), control.Peer{}, control.Request{PID: 1, Start: 1}, func(any) error { return nil })
		},
		"hook": func(w *watch) error {
			return w.hook(t.Context(), control.Peer{}, control.Request{Knob: control.KnobNames()[0]}, func(any) error { return nil })
		},
		"fence": func(w *watch) error {
			return w.fence(t.Context(), control.Peer{}, func(any) error { return nil })
		},
		"lock": func(w *watch) error {
			_, err := w.lockByHand(t.Context(), control.Peer{}, control.Request{})
			return err
		},
		"repair": func(w *watch) error {
			_, err := (&exclusive{w: w}).Apply(t.Context(), nil, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, log := watched(t)
			w.acting.Lock()
			got := make(chan error)
			go func() { got <- do(w) }()
			time.Sleep(50 * time.Millisecond) // it waits by now; if it comes later it is refused as well
			w.term.cancel()
			w.acting.Unlock()
			if err := <-got; !errors.Is(err, errNotOwner) {
				t.Errorf("after the ownership: %v", err)
			}
			if log.Len() > 0 {
				t.Errorf("decided: %s", log)
			}
			if !w.acting.TryLock() {
				t.Error("the next one waits for ever")
			}
		})
	}
}
