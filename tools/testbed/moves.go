// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lazystate/tools/control"
)

// Session is a line of `scd ls`.
type Session struct {
	ID    string `json:"id"`
	PID   int    `json:"pid"`
	Bytes int64  `json:"bytes"`
}

// Sessions are those that the server's daemon keeps.
func (s *Site) Sessions(ctx context.Context) (all []Session, err error) {
	err = control.Ask(ctx, s.control, control.Request{Cmd: "ls"}, &all)
	return all, err
}

// Settled waits until the server keeps n sessions, and a process has each.
func (s *Site) Settled(ctx context.Context, n int) error {
	return Await(ctx, fmt.Sprintf("%d sessions", n), func() bool {
		all, err := s.Sessions(ctx)
		held := 0
		for _, one := range all {
			if one.PID != 0 {
				held++
			}
		}
		return err == nil && held == n
	})
}

// Moved is how a takeover went.
type Moved struct {
	Step     string `json:"step"`
	Sessions int    `json:"sessions"`
	Bytes    int64  `json:"bytes"`
	FrozenUs int64  `json:"frozen_us"`
	End      bool   `json:"end"`
}

var errEnd = errors.New("no more answers")

// Away has the server's daemon move sessions as asked, or drain; of several
// moves, the sum.
func (s *Site) Away(ctx context.Context, r control.Request) (sum Moved, err error) {
	c, err := control.Dial(ctx, s.control)
	if err != nil {
		return sum, err
	}
	defer c.Close()
	err = c.Stream(r, func(raw json.RawMessage) error {
		var line Moved
		if err := json.Unmarshal(raw, &line); err != nil {
			return err
		}
		switch {
		case line.End:
			return errEnd
		case line.Step == "":
			sum.Sessions += line.Sessions
			sum.Bytes += line.Bytes
			sum.FrozenUs += line.FrozenUs
		}
		return nil
	})
	switch {
	case err == nil:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, errEnd):
		return sum, nil
	}
	return sum, fmt.Errorf("%s of %s: %w", r.Cmd, s.Name, err)
}

// Takeover moves the shared address and all its sessions to another server.
func (s *Site) Takeover(ctx context.Context, to *Site) (Moved, error) {
	return s.Away(ctx, control.Request{Cmd: "move", Target: Shared.String(), To: to.Name})
}
