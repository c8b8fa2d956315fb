// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/mtcp/migrate"
	"lazystate/mtcp/steer"
	"lazystate/tools/control"
)

func action(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	if len(c.StringSlice("interface")) == 0 {
		return cli.Usagef("no --interface")
	}
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	if path := c.String("gateway"); path != "" {
		return gateway(c, path, log)
	}
	hook, err := hookOf(c.String("hook"))
	if err != nil {
		return err
	}
	programs, err := steer.Open(steer.Config{Interfaces: c.StringSlice("interface"), Pin: c.String("pin"), Hook: hook, Sessions: mostMoved})
	if err != nil {
		return err
	}
	out, err := steer.NewSender()
	if err != nil {
		return errors.Join(err, programs.Close())
	}
	a := migrate.NewAgent(programs, out, timing(c), log)
	a.Point = point
	police(c, a)
	err = serve(c, programs, handler{a}.handle, a.Run, log)
	return errors.Join(err, out.Close(), programs.Close())
}

// point is told of every step of a move; tests kill the daemon at one.
var point func(string)

func hookOf(name string) (steer.Hook, error) {
	for _, h := range []steer.Hook{steer.Auto, steer.TCX, steer.Clsact} {
		if h.String() == name {
			return h, nil
		}
	}
	return 0, cli.Usagef("--hook %q: auto, tcx or clsact", name)
}

// sweepEvery is how often connections that are over are looked for.
const sweepEvery = 10 * time.Second

// serve answers on the control socket while run runs.
func serve(c *ucli.Context, programs *steer.Agent, handle control.Handler, run func(context.Context) error, log *slog.Logger) error {
	ctx, end := context.WithCancel(c.Context)
	defer end()
	allow, gid, err := control.Allow(c.String("group"))
	if err != nil {
		return err
	}
	ctl, err := control.Listen(c.String("socket"), gid)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		control.Serve(ctx, ctl, allow, handle)
	}()
	go func() {
		for t := time.NewTicker(sweepEvery); ; {
			select {
			case <-t.C:
				if _, err := programs.Sweep(time.Hour); err != nil {
					log.Warn("sweep", "err", err)
				}
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	}()
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("systemd notification", "err", err)
	}
	err = run(ctx)
	end() // one that does not run serves nobody
	<-done
	return err
}

type handler struct{ a *migrate.Agent }

// connection is a line of `mtcpd ls`.
type connection struct {
	Flow    string   `json:"flow"` // client's end, then the server's, as the application has them
	At      string   `json:"at"`   // the server that it is with
	Servers []string `json:"servers"`
	Moves   int      `json:"moves"`
	Moving  bool     `json:"moving"`
	Bytes   uint64   `json:"received"`
	SRTTUs  int64    `json:"srtt_us"`
}

func (h handler) handle(ctx context.Context, _ control.Peer, r control.Request, send func(any) error) error {
	switch r.Cmd {
	case "ls":
		all := []connection{}
		for _, s := range h.a.Sessions() {
			c := connection{Flow: s.Flow.String(), At: s.At.String(), Moves: s.Moves, Moving: s.Moving, Bytes: s.Numbers.Received, SRTTUs: s.Numbers.SRTT.Microseconds(), Servers: []string{}}
			for _, a := range s.Servers {
				c.Servers = append(c.Servers, a.String())
			}
			all = append(all, c)
		}
		return send(all)
	case "move":
		f, err := parseFlow(r.Target)
		if err != nil {
			return err
		}
		var to []netip.AddrPort
		if r.To != "" {
			a, err := parseServer(r.To)
			if err != nil {
				return err
			}
			to = append(to, a)
		}
		return h.a.Move(ctx, f, to...)
	}
	return fmt.Errorf("no command %q", r.Cmd)
}

func parseServer(text string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
		return a, fmt.Errorf("%q: want an address and a port", text)
	}
	return a, nil
}

// parseFlow reads what steer.Flow prints.
func parseFlow(text string) (f steer.Flow, err error) {
	local, remote, ok := strings.Cut(text, "-")
	if !ok {
		return f, fmt.Errorf("%q: want CLIENT:PORT-SERVER:PORT, as ls prints it", text)
	}
	if f.Local, err = netip.ParseAddrPort(local); err != nil {
		return f, err
	}
	f.Remote, err = netip.ParseAddrPort(remote)
	return f, err
}
