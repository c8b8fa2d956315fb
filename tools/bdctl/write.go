// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"lazystate/internal/cli"
	"lazystate/tools/control"
)

// writers are the commands that act; all of them through bdmon.
func writers() []*ucli.Command {
	return []*ucli.Command{
		{
			Name: "lock", Usage: "freeze the target with the remote OS lock (§3.9.1), for a time", ArgsUsage: "TARGET", Action: lock,
			Flags: []ucli.Flag{
				&ucli.DurationFlag{Name: "for", Value: 5 * time.Second, Usage: "thaw after `TIME`, at most 60s"},
				&ucli.DurationFlag{Name: "drain", Value: 100 * time.Millisecond, Usage: "let CPUs leave the kernel for `TIME`"},
				jsonFlag(),
			},
		},
		{Name: "unlock", Usage: "thaw the target; exit 3 if it is not locked", ArgsUsage: "TARGET", Action: unlock},
		{
			Name: "fence", Usage: "stop the target until it is reset (§3.5.1); before scd salvage", ArgsUsage: "TARGET", Action: fence,
			Flags: []ucli.Flag{&ucli.BoolFlag{Name: "for-good", Usage: "it is meant: nothing undoes it but a reset"}, jsonFlag()},
		},
		{
			Name: "kill", Usage: "send a signal by repair hook and read the result back; exit 3 if there is no such process", ArgsUsage: "TARGET PID", Action: kill,
			Flags: []ucli.Flag{
				&ucli.StringFlag{Name: "signal", Value: "KILL", Usage: "signal `NAME` or number"},
				&ucli.Uint64Flag{Name: "start", Usage: "only the process that started at `NS` since boot (see ps --json)"},
				jsonFlag(),
			},
		},
		{
			Name: "hooks", Usage: "turn a knob of the target's kernel: " + strings.Join(control.KnobNames(), " "),
			ArgsUsage: "TARGET KNOB VALUE", Action: hook,
			Flags: []ucli.Flag{&ucli.UintFlag{Name: "arg", Usage: "the knob's uid or pid, `ID`"}, jsonFlag()},
		},
	}
}

// act asks bdmon and prints its answer as text or as JSON.
func act[T any](c *ucli.Context, r control.Request, text func(T) string) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	var answer T
	if err := ask(ctx, c, r, &answer); err != nil {
		return failed(c, c.Command.Name, err)
	}
	if c.Bool("json") {
		return table[T]{}.print(c, []T{answer})
	}
	if s := text(answer); s != "" {
		fmt.Fprintln(c.App.Writer, s)
	}
	return nil
}

func lock(c *ucli.Context) error {
	who, err := one(c)
	if err != nil {
		return err
	}
	r := control.Request{Cmd: "lock", Target: who, LeaseMs: c.Duration("for").Milliseconds(), DrainMs: c.Duration("drain").Milliseconds()}
	return act(c, r, func(l control.Lock) string {
		view := "drained"
		if !l.Drained {
			view = "raw"
		}
		return fmt.Sprintf("locked for %v, %s view, CPUs: %s", time.Duration(l.LeaseMs)*time.Millisecond, view, strings.Join(l.CPUs, " "))
	})
}

func unlock(c *ucli.Context) error {
	who, err := one(c)
	if err != nil {
		return err
	}
	return act(c, control.Request{Cmd: "unlock", Target: who}, func(struct{}) string { return "" })
}

func fence(c *ucli.Context) error {
	who, err := one(c)
	if err != nil {
		return err
	}
	if !c.Bool("for-good") {
		return cli.Usagef("fence: nothing undoes it but a reset of %s: want --for-good", who)
	}
	return act(c, control.Request{Cmd: "fence", Target: who}, func(d control.Done) string { return d.Result })
}

func kill(c *ucli.Context) error {
	if c.Args().Len() != 2 {
		return cli.Usagef("kill: want TARGET PID")
	}
	pid, err := strconv.ParseUint(c.Args().Get(1), 10, 31)
	if err != nil || pid == 0 {
		return cli.Usagef("kill: %q is no pid", c.Args().Get(1))
	}
	sig, err := signal(c.String("signal"))
	if err != nil {
		return err
	}
	r := control.Request{Cmd: "kill", Target: c.Args().First(), PID: uint32(pid), Signal: sig, Start: c.Uint64("start")}
	return act(c, r, func(d control.Done) string { return fmt.Sprintf("%d: %s", pid, d.Result) })
}

func signal(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil && n >= 1 && n <= 64 {
		return uint32(n), nil
	}
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return uint32(n), nil
	}
	return 0, cli.Usagef("kill: unknown signal %q", name)
}

func hook(c *ucli.Context) error {
	if c.Args().Len() != 3 {
		return cli.Usagef("hooks: want TARGET KNOB VALUE")
	}
	if _, err := control.KnobByName(c.Args().Get(1)); err != nil {
		return cli.Usagef("hooks: %v", err)
	}
	value, err := strconv.ParseInt(c.Args().Get(2), 10, 64)
	if err != nil {
		return cli.Usagef("hooks: %q is no number", c.Args().Get(2))
	}
	r := control.Request{Cmd: "hook", Target: c.Args().First(), Knob: c.Args().Get(1), Value: value, Arg: uint32(c.Uint("arg"))}
	return act(c, r, func(d control.Done) string { return fmt.Sprintf("%s: %d, was %d", r.Knob, value, d.Before) })
}
