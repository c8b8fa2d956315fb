// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/datadriven"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

func (s *scenario) keyOf(d *datadriven.TestData) uapi.Key {
	if d.HasArg("wrong-key") {
		return uapi.Key{66}
	}
	return key
}

func (s *scenario) lock(d *datadriven.TestData) string {
	slot := uint32(s.number(d, "slot"))
	o := backdoor.LockOptions{Slot: slot, Key: s.keyOf(d), Lease: time.Second}
	if d.HasArg("nmi") {
		o.Flags = uapi.LockNMI
	}
	h, err := s.bt.Lock(s.t.Context(), o)
	if err != nil {
		return sayLock(err)
	}
	s.held[slot] = h
	v := h.View()
	how := "raw"
	if v.Drained {
		how = "drained"
	}
	out := uapi.LockStateName(v.State) + ", " + how
	for i, c := range v.CPUs {
		out += fmt.Sprintf(", cpu %d %s", i, uapi.CPUWhereName(c.Where))
	}
	return out
}

// sayLock names the kind of an error: the time in its text is the machine's.
func sayLock(err error) string {
	var no *backdoor.LockRefusedError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, backdoor.ErrLeaseLost):
		return "lease lost"
	case errors.As(err, &no):
		return "refused: " + no.Error()
	case errors.Is(err, backdoor.ErrNoAnswer):
		return "no answer"
	case errors.Is(err, backdoor.ErrNoRegion):
		return "no such region"
	}
	return say(err)
}

func (s *scenario) confirm(d *datadriven.TestData) string {
	return sayLock(s.held[uint32(s.number(d, "slot"))].Confirm(s.t.Context()))
}

func (s *scenario) unlock(d *datadriven.TestData) string {
	slot := uint32(s.number(d, "slot"))
	h := s.held[slot]
	delete(s.held, slot)
	return sayLock(h.Unlock(s.t.Context()))
}

func (s *scenario) fence(d *datadriven.TestData) string {
	return sayLock(s.bt.Fence(s.t.Context(), backdoor.FenceOptions{Slot: uint32(s.number(d, "slot")), Key: s.keyOf(d)}))
}

// lockState is what the target says, and what is true of it.
func (s *scenario) lockState(*datadriven.TestData) string {
	v, err := s.bt.LockView(s.t.Context())
	if err != nil {
		return say(err)
	}
	out := fmt.Sprintf("%s, %d grants, %d expired", uapi.LockStateName(v.State), v.Grants, v.Expired)
	if slot, held := s.target.LockHolder(); held {
		out += fmt.Sprintf(", in the hands of %d", slot)
	}
	return out
}

// stopping shows the state between request and grant for some looks.
func (s *scenario) stopping(d *datadriven.TestData) string {
	looks := int(s.number(d, "looks"))
	state := s.target.Area(uapi.KindLockAck) + uapi.LockAckStateOff
	s.target.Memory().Before(func(_ int, op *backdoor.Op) error {
		if _, held := s.target.LockHolder(); held && looks > 0 && len(op.Buf) == uapi.LockAckSize {
			looks--
			s.target.Poke(state, []byte{byte(uapi.LockStopping), 0, 0, 0})
		}
		return nil
	})
	return "for some looks"
}
