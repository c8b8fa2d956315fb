// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"lazystate/tools/control"
	"lazystate/tools/heal"
	scd "lazystate/tools/scd/config"
)

const (
	kindSalvage    = "salvage"
	defaultConfirm = 2 * time.Second // of all kinds; here: how long a machine must do nothing, if it has not panicked
)

func (h *Healer) checkSalvage() error {
	switch {
	case h.Kind != kindSalvage && (h.SCD != "" || h.Machine != ""):
		return errors.New("scd and machine belong to a salvage healer")
	case h.Kind != kindSalvage:
		return nil
	case h.Machine == "":
		return errors.New("a salvage healer needs the machine, as the recovery node's scd calls it")
	case h.Policy != nil || h.Nproc != 0 || h.Timeout != 0 || h.Spare.UIDs != nil || h.Spare.Users != nil || h.Spare.Commands != nil || h.Spare.Root:
		return errors.New("a salvage healer kills nobody: it has no policy, nobody to spare, no limits")
	}
	return nil
}

// salvage has the scd of the recovery node, which is this machine, do the rest.
func (h *Healer) salvage() *heal.Salvage {
	return &heal.Salvage{
		Machine: h.Machine, Confirm: h.confirms(),
		Carry: func(ctx context.Context, portOnly bool) (*heal.Carried, error) {
			return carry(ctx, cmp.Or(h.SCD, scd.DefaultSocket), h.Machine, portOnly)
		},
	}
}

var errEnd = errors.New("no more answers")

func carry(ctx context.Context, socket, machine string, portOnly bool) (*heal.Carried, error) {
	c, err := control.Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	q := control.Request{Cmd: "salvage", Target: machine}
	if portOnly {
		q.By = control.ByPort
	}
	out := &heal.Carried{}
	err = c.Stream(q, func(raw json.RawMessage) error {
		var s control.Salvaged
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		switch {
		case s.End:
			return errEnd
		case s.Error != "":
			out.Lost = append(out.Lost, s.String())
		case s.Step == "":
			out.Live = append(out.Live, s.String())
		}
		return nil
	})
	switch {
	case err == nil:
		return nil, io.ErrUnexpectedEOF
	case !errors.Is(err, errEnd):
		return nil, err
	}
	return out, nil
}
