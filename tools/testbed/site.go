// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/mtcp/escrow"
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

func (b *Bed) openSites(ctx context.Context, names []string, bits uint64) error {
	for i, name := range names {
		s, err := b.site(i, name, bits)
		if err != nil {
			return err
		}
		b.Sites = append(b.Sites, s)
	}
	b.S1, b.S2 = b.Sites[0], b.Sites[1]
	b.S1.Host.Addr(Shared.String() + "/24")
	if b.router != nil {
		if err := b.startGateway(ctx); err != nil {
			return err
		}
	}
	for _, s := range b.Sites {
		if err := s.startSCD(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bed) site(i int, name string, bits uint64) (s *Site, err error) {
	s = &Site{Host: b.rig.Host(name), bed: b}
	ip := netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 1)})
	s.Host.Addr(ip.String() + "/24")
	s.Addr, s.Keeper, s.control = netip.AddrPortFrom(ip, Port), s.path("servers"), s.path("control")
	if s.key, err = identity.Create(s.path("id.pem")); err != nil {
		return nil, err
	}
	if bits > 0 {
		if err := s.Try(func() error { return shape(netrig.Dev, bits) }); err != nil {
			return nil, err
		}
	}
	return s, b.routed(s.Host, 9)
}

// Control is its daemon's socket, for programs that run there.
func (s *Site) Control() string { return s.control }

func (s *Site) path(name string) string { return filepath.Join(s.bed.dir, s.Name+"-"+name) }

// scdPort is the daemons' own.
const scdPort = 7701

func (s *Site) startSCD(ctx context.Context) error {
	user := fmt.Sprint(os.Getuid())
	var peers []any
	for _, o := range s.bed.Sites {
		if o != s {
			peers = append(peers, map[string]any{"name": o.Name, "address": netip.AddrPortFrom(o.Addr.Addr(), scdPort).String(), "key": o.key.String(), "serves": []string{o.Addr.String()}})
		}
	}
	cfg := map[string]any{
		"servers": s.Keeper, "socket": s.control, "metrics": "-", "journal": s.path("moves"), "listen": fmt.Sprintf(":%d", scdPort), "identity": s.path("id.pem"),
		"peers": peers, "services": s.services(user), "interfaces": []string{netrig.Dev},
	}
	if s == s.bed.S2 && len(s.bed.salvage) > 0 {
		cfg["salvage"] = s.bed.salvage
	}
	if r := s.bed.router; r != nil {
		cfg["gateways"] = []any{map[string]any{"name": r.Name, "address": r.listen(), "key": r.key.String()}}
	}
	err := write(s.path("scd.yaml"), cfg)
	if err != nil {
		return err
	}
	// What then waits for the next daemon would keep the machine for two minutes.
	s.bed.frame.Cleanup(func() { _, _ = escrow.Empty(filepath.Join(s.path("moves"), "escrow")) })
	if s.SCD, err = s.bed.start(s.Host, "scd", "--config", s.path("scd.yaml")); err != nil {
		return err
	}
	return s.bed.answers(ctx, s.SCD, s.control)
}

// services are scd's, at the site's own address and at the one that moves.
func (s *Site) services(user string) (all []any) {
	add := func(name string, port uint16) {
		all = append(all,
			map[string]any{"name": name, "user": user, "listen": netip.AddrPortFrom(s.Addr.Addr(), port).String()},
			map[string]any{"name": name, "user": user, "listen": netip.AddrPortFrom(Shared, port).String(), "device": netrig.Dev})
	}
	add(s.bed.service, Port)
	for name, port := range s.bed.beside {
		add(name, port)
	}
	return all
}

// write makes a configuration: JSON is YAML.
func write(path string, cfg map[string]any) error {
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// patience is how long a program may take to come up.
const patience = 2 * time.Minute

// answers waits until a daemon does.
func (b *Bed) answers(ctx context.Context, p *Process, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := Await(ctx, filepath.Base(p.Path), func() bool { return control.Ask(ctx, socket, control.Request{Cmd: "ls"}, new(json.RawMessage)) == nil })
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.Said())
	}
	return nil
}

// Serve starts a server process at all servers, and waits until it listens.
// KEEPER and PORT in its arguments stand for the site's.
func (b *Bed) Serve(ctx context.Context, program string, args ...string) ([]*Process, error) {
	ps, err := b.Start(program, args...)
	for i, s := range b.Sites {
		if err == nil {
			err = s.listens(ctx, ps[i])
		}
	}
	return ps, err
}

// Start starts a process at all servers that listens nowhere.
func (b *Bed) Start(program string, args ...string) (ps []*Process, err error) {
	for _, s := range b.Sites {
		p, err := s.start(program, args)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// Serve does so at one server.
func (s *Site) Serve(ctx context.Context, program string, args ...string) (*Process, error) {
	p, err := s.start(program, args)
	if err == nil {
		err = s.listens(ctx, p)
	}
	return p, err
}

func (s *Site) start(program string, args []string) (*Process, error) {
	var own []string
	for _, a := range args {
		own = append(own, strings.NewReplacer("KEEPER", s.Keeper, "PORT", fmt.Sprint(Port)).Replace(a))
	}
	return s.bed.start(s.Host, program, own...)
}

func (s *Site) listens(ctx context.Context, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	line := fmt.Sprintf(":%04X ", Port)
	err := Await(ctx, "server", func() (there bool) {
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
