// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func stopped(err error) bool { return err == nil }

func atPort(err error) bool {
	var p *backdoor.PortOnlyError
	return errors.As(err, &p) && errors.Is(err, backdoor.ErrNoAnswer)
}

func TestFenceCutsPort(t *testing.T) {
	key := uapi.Key{1, 2, 3}
	unplugged := errors.New("no such cable")
	for name, c := range map[string]struct {
		hung  bool
		cut   error
		bound time.Duration
		seen  time.Duration
		ok    func(err error) bool
	}{
		"alive":           {bound: time.Minute, ok: stopped},
		"alive and quick": {bound: time.Minute, seen: time.Minute, ok: stopped},
		"hung":            {hung: true, bound: 50 * time.Millisecond, ok: atPort},
		"hung, not seen":  {hung: true, bound: time.Hour, seen: 20 * time.Millisecond, ok: atPort}, // an hour is not waited for
		"cannot be cut":   {cut: unplugged, bound: time.Minute, ok: func(err error) bool { return errors.Is(err, unplugged) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, bdtest.WithFence(), bdtest.WithKey(2, key))
			cuts := 0
			mem := m.open(t, Options{Writable: true, CutPort: func(context.Context) error { cuts++; return c.cut }})
			target, err := backdoor.Open(t.Context(), &running{Memory: mem, m: m})
			if err != nil {
				t.Fatal(err)
			}
			if !mem.Caps().CutsPort {
				t.Error("it does not say that it cuts the port")
			}
			if held, err := target.Lock(t.Context(), backdoor.LockOptions{Slot: 2, Key: key}); err != nil {
				t.Error(err)
			} else if err := held.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			if cuts != 0 {
				t.Error("a lock has cut the port")
			}
			m.Hang(c.hung)
			if err := target.Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: key, Timeout: c.bound, Seen: c.seen}); !c.ok(err) {
				t.Errorf("fence: %v", err)
			}
			if cuts != 1 {
				t.Errorf("cut %d times", cuts)
			}
		})
	}
}
