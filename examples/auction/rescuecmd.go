// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/cli"
	"lazystate/internal/keyfile"
	"lazystate/mtcp/salvage"
	"lazystate/tools/target"
)

// How a monitor that has fenced the machine says so: see bdmon.yaml, argv of a
// salvage healer.
const (
	fencedCPUs = "cpus"
	fencedPort = "port"
)

func rescueCommand(log *slog.Logger) *ucli.Command {
	return &ucli.Command{
		Name: "rescue", Usage: "has another middle tier go on with what a dead one was at",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "target", Required: true, Usage: "`URL` of the dead machine's memory: rdma://host, inic:///folder, lab:name"},
			&ucli.StringFlag{Name: "key-file", Usage: "`file` with the key that may fence it"},
			&ucli.UintFlag{Name: "slot", Usage: "of the key"},
			&ucli.StringFlag{Name: "fenced", EnvVars: []string{"LAZYSTATE_FENCED"}, Usage: "somebody has fenced it: cpus, all of them stand; port, it is cut off. Without it rescue does"},
			&ucli.BoolFlag{Name: "wait", Usage: "get ready, and begin when a line comes on standard input"},
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
			by := c.String("fenced")
			if by != "" && by != fencedCPUs && by != fencedPort || by == "" && c.String("key-file") == "" {
				return cli.Usagef("rescue: --fenced %s or %s, or a --key-file to fence with", fencedCPUs, fencedPort)
			}
			r := &rescue{dead: c.String("dead"), adopts: nodes[0], fronts: c.StringSlice("front"), dial: (&net.Dialer{}).DialContext, out: c.App.Writer, log: log}
			return rescueFrom(c, r)
		},
	}
}

// rescueFrom fences a machine, or makes sure that somebody has, and reads its memory.
func rescueFrom(c *ucli.Context, r *rescue) error {
	var key uapi.Key
	if file := c.String("key-file"); file != "" {
		var err error
		if key, err = keyfile.One(file); err != nil {
			return err
		}
	}
	by, slot := c.String("fenced"), uint32(c.Uint("slot"))
	mem, err := target.Open(c.Context, c.String("target"), target.Options{Writable: by == "", Slot: slot, Key: key, Log: r.log})
	if err != nil {
		return err
	}
	defer mem.Close()
	t, err := backdoor.Open(c.Context, mem)
	if err != nil {
		return err
	}
	if c.Bool("wait") {
		if err := asked(c.Context, c.App.Reader, r.log); err != nil {
			return err
		}
	}
	r.began = time.Now()
	if err := stands(c.Context, t, by, backdoor.FenceOptions{Slot: slot, Key: key}); err != nil {
		return err
	}
	return r.run(c.Context, t)
}

// asked waits for a line.
func asked(ctx context.Context, in io.Reader, log *slog.Logger) error {
	log.Info("rescue: ready")
	line := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(in).ReadString('\n')
		line <- err
	}()
	select {
	case err := <-line:
		if err != nil {
			err = fmt.Errorf("wait for a line: %w", err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stands returns when nothing of the machine's is heard any more: it fences it, unless
// somebody has. CPUs that have not stopped might still export what nobody hears of:
// that is no harm.
func stands(ctx context.Context, t *backdoor.Target, by string, o backdoor.FenceOptions) error {
	var err error
	if by == "" {
		if o.Timeout == 0 && t.Memory().Caps().CutsPort {
			o.Timeout = portFence
		}
		err = t.Fence(ctx, o)
	} else {
		err = salvage.Stands(ctx, t, by == fencedPort)
	}
	var port *backdoor.PortOnlyError
	if errors.As(err, &port) {
		return nil
	}
	return err
}

// portFence is how long CPUs have to answer a fence that holds at their port anyway:
// clients wait.
const portFence = time.Millisecond
