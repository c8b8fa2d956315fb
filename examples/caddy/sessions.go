// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/web"
)

func init() {
	caddy.RegisterNetwork("scd", listen)
	caddy.RegisterModule(Sessions{})
	httpcaddyfile.RegisterHandlerDirective("sessions", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return Sessions{}, nil
	})
}

// listen is the network "scd".
func listen(ctx context.Context, _, host, port string, _ uint, _ net.ListenConfig) (any, error) {
	socket := os.Getenv("MTCP_KEEPER")
	if socket == "" {
		socket = "/run/lazystate/scd.sock"
	}
	k, err := keeper.Dial(socket, "caddy")
	if err != nil {
		return nil, err
	}
	l, err := k.Listen(ctx, "tcp", net.JoinHostPort(host, port), web.Boxes())
	if err != nil {
		return nil, err
	}
	return web.Listener{Listener: l}, nil
}

// Sessions is a handler in front of those whose responses go on elsewhere.
type Sessions struct{}

// CaddyModule is Caddy's.
func (Sessions) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.sessions", New: func() caddy.Module { return new(Sessions) }}
}

// Provision sets the server's hooks.
func (*Sessions) Provision(ctx caddy.Context) error {
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		srv.RegisterConnState(web.State)
		srv.RegisterConnContext(web.Context)
	}
	return nil
}

func (Sessions) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	web.Begin(w, r)
	return next.ServeHTTP(w, r)
}
