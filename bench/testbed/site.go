// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/tools/control"
)

// Site is a server machine with its daemon.
type Site struct {
	*netrig.Host
	Addr   netip.AddrPort // where it serves, under its own address
	Keeper string         // socket for its server's processes
	SCD    *Process

	bed     *Bed
	control string
	key     identity.PublicKey
}

// Shared is the address that moves from one server to the other; S1 has it first.
var Shared = netip.MustParseAddr("10.9.0.100")

func (b *Bed) openSites(ctx context.Context, cfg Config) error {
	b.S1, b.S2 = b.site(0), b.site(1)
	b.S1.Host.Addr(Shared.String() + "/24")
	for _, s := range []*Site{b.S1, b.S2} {
		var err error
		if s.key, err = identity.Create(s.path("id.pem")); err != nil {
			return err
		}
		if cfg.Server > 0 {
			if err := s.Try(func() error { return shape(netrig.Dev, cfg.Server) }); err != nil {
				return err
			}
		}
	}
	for _, pair := range [][2]*Site{{b.S1, b.S2}, {b.S2, b.S1}} {
		if err := pair[0].startSCD(ctx, pair[1]); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bed) site(i int) *Site {
	s := &Site{Host: b.rig.Host(fmt.Sprintf("s%d", i+1)), bed: b}
	ip := netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 1)})
	s.Host.Addr(ip.String() + "/24")
	s.Addr, s.Keeper, s.control = netip.AddrPortFrom(ip, Port), s.path("servers"), s.path("control")
	return s
}

func (s *Site) path(name string) string { return filepath.Join(s.bed.dir, s.Name+"-"+name) }

// scdPort is the daemons' own.
const scdPort = 7701

func (s *Site) startSCD(ctx context.Context, other *Site) error {
	user := fmt.Sprint(os.Getuid())
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"servers": s.Keeper, "socket": s.control, "metrics": "-", "journal": s.path("moves"), "listen": fmt.Sprintf(":%d", scdPort), "identity": s.path("id.pem"),
		"peers": []any{map[string]any{"name": other.Name, "address": fmt.Sprintf("%s:%d", other.Addr.Addr(), scdPort), "key": other.key.String(), "serves": []string{other.Addr.String()}}},
		"services": []any{
			map[string]any{"name": s.bed.service, "user": user, "listen": s.Addr.String()},
			map[string]any{"name": s.bed.service, "user": user, "listen": netip.AddrPortFrom(Shared, Port).String(), "device": netrig.Dev},
		},
		"interfaces": []string{netrig.Dev},
	})
	if err == nil {
		err = os.WriteFile(s.path("scd.yaml"), text, 0o600)
	}
	if err != nil {
		return err
	}
	if s.SCD, err = s.bed.start(s.Host, "scd", "--config", s.path("scd.yaml")); err != nil {
		return err
	}
	return s.bed.answers(ctx, s.SCD, s.control)
}

// answers waits until a daemon does.
func (b *Bed) answers(ctx context.Context, p *Process, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := await(ctx, filepath.Base(p.Path), func() bool { return control.Ask(ctx, socket, control.Request{Cmd: "ls"}, new(json.RawMessage)) == nil })
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.Said())
	}
	return nil
}

// Serve starts a server process at both servers, and waits until it listens.
// KEEPER and PORT in its arguments stand for the site's.
func (b *Bed) Serve(ctx context.Context, program string, args ...string) ([]*Process, error) {
	ps, err := b.Start(program, args...)
	for i, s := range []*Site{b.S1, b.S2} {
		if err == nil {
			err = s.listens(ctx, ps[i])
		}
	}
	return ps, err
}

// Start starts a process at both servers that listens nowhere.
func (b *Bed) Start(program string, args ...string) (ps []*Process, err error) {
	for _, s := range []*Site{b.S1, b.S2} {
		var own []string
		for _, a := range args {
			own = append(own, strings.NewReplacer("KEEPER", s.Keeper, "PORT", fmt.Sprint(Port)).Replace(a))
		}
		p, err := b.start(s.Host, program, own...)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func (s *Site) listens(ctx context.Context, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	line := fmt.Sprintf(":%04X ", Port)
	err := await(ctx, "server", func() (there bool) {
		_ = s.Try(func() error { // a connection would be a session
			for _, f := range []string{"tcp", "tcp6"} {
				b, err := os.ReadFile("/proc/thread-self/net/" + f)
				if err != nil {
					return err
				}
				for l := range strings.Lines(string(b)) {
					there = there || strings.Contains(l, line) && strings.Contains(l, " 0A ")
				}
			}
			return nil
		})
		return there
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.Said())
	}
	return nil
}

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
	return await(ctx, fmt.Sprintf("%d sessions", n), func() bool {
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

// Takeover moves the shared address and all its sessions to another server.
func (s *Site) Takeover(ctx context.Context, to *Site) (m Moved, err error) {
	c, err := control.Dial(ctx, s.control)
	if err != nil {
		return m, err
	}
	defer c.Close()
	err = c.Stream(control.Request{Cmd: "move", Target: Shared.String(), To: to.Name}, func(raw json.RawMessage) error {
		var line Moved
		if err := json.Unmarshal(raw, &line); err != nil {
			return err
		}
		switch {
		case line.End:
			return errEnd
		case line.Step == "":
			m = line
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	return m, err
}
