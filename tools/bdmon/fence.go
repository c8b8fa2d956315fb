// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"lazystate/backdoor"
	"lazystate/tools/control"
)

// fence stops the target for good, by hand: nothing undoes that but a reset. What
// is held by hand does not keep it from that.
func (w *watch) fence(ctx context.Context, who control.Peer, send func(any) error) error {
	t, err := w.writable()
	if err != nil {
		return err
	}
	leave, err := w.turn()
	if err != nil {
		return err
	}
	defer leave()
	if err := w.decide(t, who, "fence", map[string]any{}); err != nil {
		return err
	}
	err = t.Fence(ctx, backdoor.FenceOptions{Slot: w.cfg.Slot, Key: w.key})
	w.note(t, "result", nil, err)
	var port *backdoor.PortOnlyError
	switch {
	case errors.As(err, &port):
		return send(control.Done{Result: port.Error()})
	case err != nil:
		return err
	}
	return send(control.Done{Result: "fenced"})
}
