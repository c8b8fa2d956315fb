// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
)

// routerName is its host's, and the gateway's to the servers.
const routerName = "gw"

// router is between the clients, in 10.8.0.0/24, and the servers in 10.9.0.0/24.
type router struct {
	*netrig.Host
	key identity.PublicKey
	pem string
}

func gatewayOf(net byte) netip.Addr { return netip.AddrFrom4([4]byte{10, net, 0, 254}) }

// listen is where its mtcpd hears of moves.
func (*router) listen() string { return netip.AddrPortFrom(gatewayOf(9), 7702).String() }

func (b *Bed) openRouter() (err error) {
	r := &router{Host: b.rig.Host(routerName), pem: filepath.Join(b.dir, "gateway.pem")}
	for _, net := range []byte{8, 9} {
		r.Addr(gatewayOf(net).String() + "/24")
	}
	r.Sysctl("net/ipv4/ip_forward", "1")
	for _, dev := range []string{"all", netrig.Dev} { // both networks are on one wire: it would send hosts past itself
		r.Sysctl("net/ipv4/conf/"+dev+"/send_redirects", "0")
	}
	r.key, err = identity.Create(r.pem)
	b.router = r
	return err
}

// routed sends what leaves a host's network through the router, if there is one.
func (b *Bed) routed(h *netrig.Host, own byte) error {
	if b.router == nil {
		return nil
	}
	return h.Try(func() error {
		return netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Gw: gatewayOf(own).AsSlice()})
	})
}

func (b *Bed) startGateway(ctx context.Context) error {
	var servers []any
	for _, s := range b.Sites {
		servers = append(servers, map[string]any{"name": s.Name, "key": s.key.String(), "serves": []string{s.Addr.String()}})
	}
	cfg, socket := filepath.Join(b.dir, "gateway.yaml"), filepath.Join(b.dir, "gateway")
	if err := write(cfg, map[string]any{"identity": b.router.pem, "listen": b.router.listen(), "servers": servers}); err != nil {
		return err
	}
	p, err := b.start(b.router.Host, "mtcpd", "--interface", netrig.Dev, "--socket", socket, "--gateway", cfg)
	if err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	return b.answers(ctx, p, socket)
}
