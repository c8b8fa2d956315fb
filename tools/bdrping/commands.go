// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/bdrping/perftest"
	"lazystate/tools/bdrping/rping"
	"lazystate/verbs"
	"lazystate/verbs/roce"
)

// rpingPort is where rping listens unless told otherwise.
const rpingPort = 7174

func deviceFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "device", Value: "roce://127.0.0.1", Usage: "`URL` of the device: roce://ADDRESS?mtu=4096, ibv://rxe0"}
}

// open opens the device that the flags name.
func open(c *ucli.Context) (*verbs.Device, error) {
	return verbs.Open(c.Context, c.String("device"))
}

// tellRefusals prints what the device refused of its peers, if it can tell.
func tellRefusals(w io.Writer, dev *verbs.Device) {
	d, ok := dev.Driver().(*roce.Device)
	if !ok {
		return
	}
	for _, r := range d.Refusals() {
		fmt.Fprintln(w, "refused:", r)
	}
}

func server() *ucli.Command {
	return &ucli.Command{
		Name: "server", Usage: "answers rping's clients, one after the other",
		Flags: []ucli.Flag{
			deviceFlag(),
			&ucli.UintFlag{Name: "port", Value: rpingPort, Usage: "`PORT` to listen at"},
			&ucli.IntFlag{Name: "size", Value: 4096, Usage: "most `BYTES` of a ping"},
			&ucli.IntFlag{Name: "clients", Usage: "end after so `MANY`; 0: never"},
		},
		Action: serve,
	}
}

func serve(c *ucli.Context) (err error) {
	dev, err := open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	l, err := dev.Listen(netip.AddrPortFrom(netip.Addr{}, uint16(c.Uint("port"))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	fmt.Fprintln(c.App.Writer, "listening at", l.Addr())
	for n := 0; c.Int("clients") == 0 || n < c.Int("clients"); n++ {
		rounds, err := rping.Serve(c.Context, dev, l, c.Int("size"))
		if c.Context.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintln(c.App.ErrWriter, "client:", err)
			continue
		}
		fmt.Fprintf(c.App.Writer, "served %d pings\n", rounds)
	}
	return nil
}

func client() *ucli.Command {
	return &ucli.Command{
		Name: "client", Usage: "pings an rping server", ArgsUsage: "ADDRESS[:PORT]",
		Flags: []ucli.Flag{
			deviceFlag(),
			&ucli.IntFlag{Name: "count", Value: 5, Usage: "`PINGS`"},
			&ucli.IntFlag{Name: "size", Value: 100, Usage: "`BYTES` of a ping"},
			&ucli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "give up after `TIME`"},
		},
		Action: ping,
	}
}

func ping(c *ucli.Context) (err error) {
	if c.NArg() != 1 {
		return cli.Usagef("want the server's address")
	}
	to, err := parseAddr(c.Args().First())
	if err != nil {
		return err
	}
	dev, err := open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	return rping.Ping(ctx, dev, to, c.Int("count"), c.Int("size"), func(i int, took time.Duration) {
		fmt.Fprintf(c.App.Writer, "%d bytes from %v: ping %d time %v\n", c.Int("size"), to, i, took.Round(time.Microsecond))
	})
}

func parseAddr(s string) (netip.AddrPort, error) {
	if to, err := netip.ParseAddrPort(s); err == nil {
		return to, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, cli.Usagef("%q is no address, nor address:port", s)
	}
	return netip.AddrPortFrom(a, rpingPort), nil
}

func perf() *ucli.Command {
	return &ucli.Command{
		Name: "perftest", Usage: "serves perftest's clients, one after the other",
		Flags: []ucli.Flag{
			deviceFlag(),
			&ucli.StringFlag{Name: "listen", Value: "127.0.0.1:18515", Usage: "TCP `ADDRESS` at which clients introduce themselves"},
			&ucli.StringFlag{Name: "test", Value: "read_lat", Usage: "the clients' `TEST`: read_lat, write_lat, read_bw, write_bw, atomic_lat, send_bw"},
			&ucli.IntFlag{Name: "size", Value: 2, Usage: "the clients' `BYTES`"},
			&ucli.IntFlag{Name: "iters", Value: 1000, Usage: "the clients' `ITERATIONS`; write_lat alone must know"},
			&ucli.IntFlag{Name: "clients", Usage: "end after so `MANY`; 0: never"},
		},
		Action: servePerf,
	}
}

func servePerf(c *ucli.Context) (err error) {
	t, err := perftest.ParseTest(c.String("test"))
	if err != nil {
		return cli.Usagef("%v", err)
	}
	dev, err := open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(c.Context, func() { l.Close() })()
	fmt.Fprintln(c.App.Writer, "listening at", l.Addr())
	s := perftest.Server{Device: dev, Test: t, Size: c.Int("size"), Iters: c.Int("iters")}
	for n := 0; c.Int("clients") == 0 || n < c.Int("clients"); n++ {
		conn, err := l.Accept()
		if c.Context.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Serve(c.Context, conn); err != nil {
			fmt.Fprintln(c.App.ErrWriter, "client:", err)
		}
		tellRefusals(c.App.ErrWriter, dev)
	}
	return nil
}
