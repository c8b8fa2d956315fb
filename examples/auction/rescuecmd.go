// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	ucli "github.com/urfave/cli/v2"

	"lazystate/backdoor"
	"lazystate/internal/cli"
	"lazystate/internal/keyfile"
	"lazystate/tools/target"
)

func rescueCommand(log *slog.Logger) *ucli.Command {
	return &ucli.Command{
		Name: "rescue", Usage: "has another middle tier go on with what a dead one was at",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "target", Required: true, Usage: "`URL` of the dead machine's memory: rdma://host, inic:///folder, lab:name"},
			&ucli.StringFlag{Name: "key-file", Required: true, Usage: "`file` with the key that may fence it"},
			&ucli.UintFlag{Name: "slot", Usage: "of the key"},
			&ucli.StringFlag{Name: "dead", Required: true, Usage: "`name` of its middle tier"},
			&ucli.StringFlag{Name: "adopt", Required: true, Usage: "`NAME=ADDRESS` of the middle tier that goes on"},
			&ucli.StringSliceFlag{Name: "front", Required: true, Usage: "`address` that a front end is told things at; for each of them"},
		},
		Action: func(c *ucli.Context) error {
			nodes, err := nodesOf(c.String("adopt"))
			if err == nil && len(nodes) != 1 {
				err = errors.New("one middle tier adopts")
			}
			if err != nil {
				return cli.Usagef("%v", err)
			}
			return rescueFrom(c, &rescue{dead: c.String("dead"), adopts: nodes[0], fronts: c.StringSlice("front"), dial: (&net.Dialer{}).DialContext, log: log})
		},
	}
}

// rescueFrom fences a machine, or makes sure that somebody has, and reads its memory.
func rescueFrom(c *ucli.Context, r *rescue) error {
	key, err := keyfile.One(c.String("key-file"))
	if err != nil {
		return err
	}
	mem, err := target.Open(c.Context, c.String("target"), target.Options{Writable: true, Slot: uint32(c.Uint("slot")), Key: key, Log: r.log})
	if err != nil {
		return err
	}
	defer mem.Close()
	t, err := backdoor.Open(c.Context, mem)
	if err != nil {
		return err
	}
	if err := fence(c.Context, t, backdoor.FenceOptions{Slot: uint32(c.Uint("slot")), Key: key}); err != nil {
		return err
	}
	return r.run(c.Context, t)
}

// fence returns when nothing of the machine's is heard any more. CPUs that have not
// stopped might still have exported what nobody hears of: that is no harm.
func fence(ctx context.Context, t *backdoor.Target, o backdoor.FenceOptions) error {
	err := t.Fence(ctx, o)
	var port *backdoor.PortOnlyError
	if errors.As(err, &port) {
		return nil
	}
	return err
}
