// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/examples/auction/load"
	"lazystate/internal/cli"
)

func loadCommand() *ucli.Command {
	return &ucli.Command{
		Name: "load", Usage: "is clients that check each reply, and then the database",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "front", Value: "127.0.0.1:8080", Usage: "`address` of the front end"},
			&ucli.StringFlag{Name: "database", EnvVars: []string{"MTCP_DATABASE"}, Required: true, Usage: "PostgreSQL's `connection string`, to check what was done; nobody else may change it meanwhile"},
			&ucli.IntFlag{Name: "clients", Value: 200},
			&ucli.DurationFlag{Name: "for", Value: time.Minute, Usage: "how long new requests are made"},
			&ucli.StringFlag{Name: "mix", Value: "bidding", Usage: "browsing, bidding, registrations or bids"},
			&ucli.Float64Flag{Name: "think", Value: 1, Usage: "times TPC-W's think time of 7 s"},
			&ucli.IntFlag{Name: "visit", Usage: "mean `number` of requests over a connection; 0: one lasts for all"},
			&ucli.Uint64Flag{Name: "seed", Value: 1},
		},
		Action: func(c *ucli.Context) error {
			mix := load.Named[c.String("mix")]
			if mix == nil || c.Int("clients") < 1 || c.Float64("think") < 0 || c.Int("visit") < 0 || c.Duration("for") <= 0 {
				return cli.Usagef("load: a mix that there is, one client at least, a time to do it in, nothing negative")
			}
			n, err := load.SizeOf(c.Context, c.String("database"))
			if err != nil {
				return err
			}
			l := &load.Load{
				Dial: func(ctx context.Context) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, "tcp", c.String("front"))
				},
				Clients: c.Int("clients"), For: c.Duration("for"), Mix: mix, Think: c.Float64("think"), Visit: c.Int("visit"),
				Size: n, Seed: c.Uint64("seed"), Name: time.Now().Format(time.RFC3339), Reply: answering,
			}
			return loaded(c, l)
		},
	}
}

var errUnsound = errors.New("the database and what clients were told differ")

func loaded(c *ucli.Context, l *load.Load) error {
	s := load.Sum(l.Run(c.Context))
	fmt.Fprintln(c.App.Writer, s)
	v, err := load.Check(c.Context, c.String("database"), s.Events)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, v)
	if !v.Sound() {
		return errUnsound
	}
	return nil
}
