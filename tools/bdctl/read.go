// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/backdoor"
	"lazystate/internal/cli"
	"lazystate/tools/control"
	"lazystate/tools/target"
)

const defaultTimeout = 30 * time.Second

func jsonFlag() ucli.Flag {
	return &ucli.BoolFlag{Name: "json", Usage: "print JSON with stable fields instead of a table"}
}

// readers are the commands that change nothing.
func readers() []*ucli.Command {
	return []*ucli.Command{
		{Name: "targets", Usage: "list bdmon's targets; exit 3 if one is down or its verdict is not ok", Flags: []ucli.Flag{jsonFlag()}, Action: targets},
		{Name: "owners", Usage: "list which monitor may write to each target; exit 3 if one has no owner", Flags: []ucli.Flag{jsonFlag()}, Action: owners},
		reader("sensors", "show the Sensor Box", sensorTable, control.FetchSensors),
		reader("ps", "show the process table, read from the target's memory", processTable, control.Processes),
		reader("regions", "show the regions that the target offers", regionTable, noContext(control.Regions)),
		reader("manifest", "show what the target says about itself", manifestTable, control.Manifest),
		{Name: "watch", Usage: "print events as they come", ArgsUsage: "[TARGET]", Flags: []ucli.Flag{jsonFlag()}, Action: watchEvents},
		{
			Name: "audit", Usage: "print the last lines of the audit log, as JSON", ArgsUsage: "[TARGET]", Action: auditLog,
			Flags: []ucli.Flag{&ucli.IntFlag{Name: "lines", Value: 20, Usage: "so many `LINES`; 0: all of the last MiB"}},
		},
	}
}

func noContext[T any](f func(*backdoor.Target) []T) func(context.Context, *backdoor.Target) ([]T, error) {
	return func(_ context.Context, t *backdoor.Target) ([]T, error) { return f(t), nil }
}

// reader is a command that lists something of one target, asked from bdmon or
// read from the target itself.
func reader[T any](name, usage string, show table[T], direct func(context.Context, *backdoor.Target) ([]T, error)) *ucli.Command {
	return &ucli.Command{
		Name: name, Usage: usage, ArgsUsage: "TARGET",
		Flags: []ucli.Flag{jsonFlag(), &ucli.StringFlag{Name: "url", Usage: "read the target at `URL` without bdmon"}},
		Action: func(c *ucli.Context) error {
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			var rows []T
			var err error
			if url := c.String("url"); url != "" {
				if c.Args().Present() {
					return cli.Usagef("%s: --url names the target already", name)
				}
				rows, err = openAnd(ctx, url, direct)
			} else {
				var who string
				if who, err = one(c); err != nil {
					return err
				}
				err = ask(ctx, c, control.Request{Cmd: name, Target: who}, &rows)
			}
			if err != nil {
				return failed(c, name, err)
			}
			return show.print(c, rows)
		},
	}
}

func openAnd[T any](ctx context.Context, url string, f func(context.Context, *backdoor.Target) ([]T, error)) (rows []T, err error) {
	m, err := target.Open(ctx, url, target.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	t, err := backdoor.Open(ctx, m)
	if err != nil {
		return nil, err
	}
	return f(ctx, t)
}

// one is the command's only argument, a target's name.
func one(c *ucli.Context) (string, error) {
	if c.Args().Len() != 1 {
		return "", cli.Usagef("%s: want one TARGET", c.Command.Name)
	}
	return c.Args().First(), nil
}

// ask calls bdmon once.
func ask(ctx context.Context, c *ucli.Context, r control.Request, data any) error {
	err := control.Ask(ctx, c.String("socket"), r, data)
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return err
}

// failed names the command and its target, and turns a no into exit 3.
func failed(c *ucli.Context, what string, err error) error {
	if c.Args().Present() {
		what += " " + c.Args().First()
	}
	if errors.Is(err, control.ErrFalse) {
		fmt.Fprintf(c.App.ErrWriter, "bdctl: %s: %v\n", what, err)
		return cli.ErrFalse
	}
	return fmt.Errorf("%s: %w", what, err)
}

func targets(c *ucli.Context) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	var rows []control.Target
	if err := ask(ctx, c, control.Request{Cmd: "targets"}, &rows); err != nil {
		return failed(c, "targets", err)
	}
	if err := targetTable.print(c, rows); err != nil {
		return err
	}
	for _, r := range rows {
		if !r.Up || r.Verdict != "ok" {
			return cli.ErrFalse
		}
	}
	return nil
}

func owners(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("owners: unexpected argument %q", c.Args().First())
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	var rows []control.Ownership
	if err := ask(ctx, c, control.Request{Cmd: "owners"}, &rows); err != nil {
		return failed(c, "owners", err)
	}
	if err := ownerTable.print(c, rows); err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(r control.Ownership) bool { return r.Owner == "" }) {
		return cli.ErrFalse
	}
	return nil
}

// optional is the command's target, "" for all.
func optional(c *ucli.Context) (string, error) {
	if c.Args().Len() > 1 {
		return "", cli.Usagef("%s: want at most one TARGET", c.Command.Name)
	}
	return c.Args().First(), nil
}

func watchEvents(c *ucli.Context) error {
	who, err := optional(c)
	if err != nil {
		return err
	}
	conn, err := control.Dial(c.Context, c.String("socket"))
	if err != nil {
		return failed(c, "watch", err)
	}
	defer conn.Close()
	err = conn.Stream(control.Request{Cmd: "watch", Target: who}, func(raw json.RawMessage) error {
		if c.Bool("json") {
			_, err := fmt.Fprintf(c.App.Writer, "%s\n", raw)
			return err
		}
		var ev control.Event
		if err := json.Unmarshal(raw, &ev); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.App.Writer, "%s %s %s\n", ev.Time.Format("15:04:05.000"), ev.Target, ev.Text)
		return err
	})
	if err != nil && c.Context.Err() == nil {
		return failed(c, "watch", err)
	}
	return nil
}

func auditLog(c *ucli.Context) error {
	who, err := optional(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	var records []json.RawMessage
	if err := ask(ctx, c, control.Request{Cmd: "audit", Target: who, Lines: c.Int("lines")}, &records); err != nil {
		return failed(c, "audit", err)
	}
	for _, r := range records {
		if _, err := fmt.Fprintf(c.App.Writer, "%s\n", r); err != nil {
			return err
		}
	}
	return nil
}
