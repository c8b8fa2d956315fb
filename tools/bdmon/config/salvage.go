// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"lazystate/backdoor"
	"lazystate/tools/control"
	"lazystate/tools/heal"
	scd "lazystate/tools/scd/config"
	"lazystate/tools/target"
)

const (
	kindSalvage    = "salvage"
	defaultConfirm = 2 * time.Second // of all kinds; here: how long a machine must do nothing, if it has not panicked
	defaultCommand = time.Minute     // for a command that carries something out
)

func (h *Healer) checkSalvage() error {
	switch {
	case h.Kind != kindSalvage && (h.SCD != "" || h.Machine != "" || h.Fence != 0 || h.Recovery != "" || h.Supersedes != ""):
		return errors.New("scd, machine, fence, recovery and supersedes belong to a salvage healer")
	case h.Kind != kindSalvage:
		return nil
	case h.Machine == "" && len(h.Argv) == 0:
		return errors.New("a salvage healer needs the machine, as the recovery node's scd calls it, or a command")
	case h.Machine == "" && h.SCD != "":
		return errors.New("scd without the machine, as that calls it")
	case h.Policy != nil || h.Nproc != 0 || h.Spare.UIDs != nil || h.Spare.Users != nil || h.Spare.Commands != nil || h.Spare.Root:
		return errors.New("a salvage healer kills nobody: it has no policy, nobody to spare, no limits")
	case h.Timeout != 0 && len(h.Argv) == 0:
		return errors.New("the timeout of a salvage healer is its command's")
	case h.Supersedes != "" && h.heir() == backdoor.HeirOf(h.Supersedes):
		return errors.New("supersedes is the recovery node itself")
	}
	return nil
}

// heir is the recovery node, 0 where a command alone carries something out that has no
// name: it may be run from anywhere.
func (h *Healer) heir() backdoor.Heir {
	name := h.Recovery
	if name == "" && h.Machine != "" {
		name, _ = os.Hostname() // as scd calls itself
	}
	if name == "" {
		return 0
	}
	return backdoor.HeirOf(name)
}

// salvage has the scd of the recovery node, which is this machine, do the rest, or a
// command, or the one and then the other.
func (h *Healer) salvage() *heal.Salvage {
	s := &heal.Salvage{Machine: h.Machine, Confirm: h.confirms(), Fence: time.Duration(h.Fence), Carry: h.carry, Heir: h.heir()}
	if h.Supersedes != "" {
		s.Supersedes = backdoor.HeirOf(h.Supersedes)
	}
	if h.Machine != "" {
		s.How = append(s.How, "the recovery node takes over the addresses and sessions of "+h.Machine)
	}
	if len(h.Argv) > 0 {
		s.How = append(s.How, "run "+strings.Join(h.Argv, " "))
	}
	return s
}

func (h *Healer) carry(ctx context.Context, portOnly bool) (*heal.Carried, error) {
	out := &heal.Carried{}
	if h.Machine != "" {
		q := control.Request{Cmd: "salvage", Target: h.Machine, Heir: uint32(h.heir())}
		if portOnly {
			q.By = control.ByPort
		}
		if err := takeOver(ctx, out, cmp.Or(h.SCD, scd.DefaultSocket), q); err != nil {
			return nil, err
		}
	}
	if len(h.Argv) > 0 {
		if err := h.command(ctx, out, portOnly); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FencedEnv tells a salvage healer's command how the machine was fenced: all its CPUs
// stand, or it is cut off at its port.
const (
	FencedEnv  = "LAZYSTATE_FENCED"
	fencedCPUs = "cpus"
	fencedPort = "port"
)

// lostPrefix begins a command's line of what nobody can carry out any more.
const lostPrefix = "lost: "

// command runs the operator's own. Each line that it prints is told; its error is that
// nothing is done yet, and that it is run again.
func (h *Healer) command(ctx context.Context, out *heal.Carried, portOnly bool) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(time.Duration(h.Timeout), defaultCommand))
	defer cancel()
	how := fencedCPUs
	if portOnly {
		how = fencedPort
	}
	said, err := target.Run(ctx, "command of the salvage", h.Argv, FencedEnv+"="+how)
	if err != nil {
		return err
	}
	for line := range strings.Lines(said) {
		line = strings.TrimSuffix(line, "\n")
		if lost, is := strings.CutPrefix(line, lostPrefix); is {
			out.Lost = append(out.Lost, control.Text(lost))
		} else {
			out.Live = append(out.Live, control.Text(line))
		}
	}
	return nil
}

var errEnd = errors.New("no more answers")

func takeOver(ctx context.Context, out *heal.Carried, socket string, q control.Request) error {
	c, err := control.Dial(ctx, socket)
	if err != nil {
		return err
	}
	defer c.Close()
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
		return io.ErrUnexpectedEOF
	case !errors.Is(err, errEnd):
		return err
	}
	return nil
}
