// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/confile"
	"lazystate/internal/identity"
	"lazystate/mtcp/migrate"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/tools/control"
)

// gatewayConfig is the file of --gateway.
type gatewayConfig struct {
	Identity string          `yaml:"identity"` // this gateway's private key, as scd --new-identity makes one
	Listen   string          `yaml:"listen"`   // for the servers
	Servers  []gatewayServer `yaml:"servers"`
}

// gatewayServer is one whose sessions may be redirected.
type gatewayServer struct {
	Name   string   `yaml:"name"`
	Key    string   `yaml:"key"`    // as scd --new-identity printed it there
	Serves []string `yaml:"serves"` // addresses and ports there
}

func parseGateway(b []byte) (*gatewayConfig, error) {
	c := &gatewayConfig{}
	if err := confile.Decode(b, c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	_, err := c.peers()
	return c, confile.Locate(b, err)
}

func (c *gatewayConfig) peers() (out []migrate.Peer, err error) {
	for i, s := range c.Servers {
		at := fmt.Sprintf(".servers[%d]", i)
		p := migrate.Peer{Name: s.Name}
		if p.Key, err = identity.ParseKey(s.Key); err != nil {
			return nil, confile.At(at+".key", err)
		}
		for j, text := range s.Serves {
			a, err := parseServer(text)
			if err != nil {
				return nil, confile.At(fmt.Sprintf("%s.serves[%d]", at, j), err)
			}
			p.Serves = append(p.Serves, a)
		}
		out = append(out, p)
	}
	return out, nil
}

// mostMoved is how many sessions may be elsewhere than they began, at a client's agent and
// at a gateway: as many as an agent knows. They take memory when they are.
const mostMoved = 1 << 16

// gateway serves on a router.
func gateway(c *ucli.Context, path string, log *slog.Logger) error {
	cfg, err := confile.Load(path, parseGateway)
	if err != nil {
		return err
	}
	g := &migrate.Gateway{Timing: party.Defaults, Log: log, Point: point}
	if g.Servers, err = cfg.peers(); err != nil {
		return err
	}
	if g.Identity, err = identity.Load(cfg.Identity); err != nil {
		return err
	}
	if g.Listen, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen for servers: %w", err)
	}
	hook, err := hookOf(c.String("hook"))
	if err != nil {
		return errors.Join(err, g.Listen.Close())
	}
	if g.Steer, err = steer.Open(steer.Config{Interfaces: c.StringSlice("interface"), Pin: c.String("pin"), Hook: hook, Gateway: true, Sessions: mostMoved}); err != nil {
		return errors.Join(err, g.Listen.Close())
	}
	return errors.Join(serve(c, g.Steer, redirected(g.Steer), g.Run, log), g.Steer.Close())
}

// redirected answers mtcpd ls on a gateway.
func redirected(programs *steer.Agent) control.Handler {
	return func(_ context.Context, _ control.Peer, r control.Request, send func(any) error) error {
		if r.Cmd != "ls" {
			return fmt.Errorf("no command %q at a gateway: servers say what moves", r.Cmd)
		}
		all, err := programs.Sessions()
		if err != nil {
			return err
		}
		out := []connection{}
		for _, s := range all {
			out = append(out, connection{Flow: s.App.String(), At: s.Wire.Remote.String(), Moves: s.Moves, Moving: s.State != steer.Moved, Servers: []string{}})
		}
		return send(out)
	}
}
