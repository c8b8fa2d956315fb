// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

// gate is a router between the client and the servers, with an mtcpd.
type gate struct {
	dir  string
	key  identity.PublicKey
	path string // of its program; "": mtcpd's
	env  []string
	args []string
	*process
}

// newGated is a world whose client comes through a gateway.
func newGated(t *testing.T) *world {
	t.Helper()
	if err := steer.Probe(); err != nil {
		lab.Skip(t, err.Error())
	}
	return newGatedBy(t, &gate{dir: t.TempDir()})
}

func newGatedBy(t *testing.T, g *gate) *world {
	t.Helper()
	return gatedBy(t, g).build(false)
}

// gatedBy is newGatedBy of a world that is yet to be built.
func gatedBy(t *testing.T, g *gate) *world {
	return &world{t: t, names: []string{"s1", "s2"}, gate: g, more: func(_ *site, cfg map[string]any) {
		cfg["gateways"] = []any{map[string]any{"name": "gw", "address": "10.9.0.254:7702", "key": g.key.String()}}
	}}
}

func (g *gate) build(w *world) {
	w.t.Helper()
	var err error
	if g.key, err = identity.Create(filepath.Join(g.dir, "id.pem")); err != nil {
		w.t.Fatal(err)
	}
	w.router = w.rig.Host("router")
	for _, s := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		w.router.Sysctl(s, "1")
	}
	for _, s := range []string{"all", netrig.Dev} {
		w.router.Sysctl("net/ipv4/conf/"+s+"/send_redirects", "0")
	}
	hosts := map[*netrig.Host]string{w.client: "8"}
	for _, s := range w.sites {
		hosts[s.Host] = "9"
	}
	w.client.Addr("10.8.0.9/24")
	w.client.Addr("fd08::9/64")
	for _, a := range []string{"10.8.0.254/24", "10.9.0.254/24", "fd08::fe/64", "fd09::fe/64"} {
		w.router.Addr(a)
	}
	for h, n := range hosts {
		h.Sysctl("net/ipv6/conf/"+netrig.Dev+"/accept_redirects", "0")
		h.Do(func() error { return defaultVia("10." + n + ".0.254") })
		h.Do(func() error { return defaultVia("fd0" + n + "::fe") })
	}
	g.serve(w, w.names...)
}

// serve starts it for some servers.
func (g *gate) serve(w *world, names ...string) {
	w.t.Helper()
	var servers []any
	for i, name := range names {
		servers = append(servers, map[string]any{"name": name, "key": w.sites[name].key.String(), "serves": w.serves(i)})
	}
	text, err := json.Marshal(map[string]any{"identity": filepath.Join(g.dir, "id.pem"), "listen": "10.9.0.254:7702", "servers": servers})
	if err == nil {
		err = os.WriteFile(filepath.Join(g.dir, "gateway.yaml"), text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	g.start(w)
}

func (g *gate) start(w *world) {
	w.t.Helper()
	path, err := g.path, error(nil)
	if path == "" {
		path, err = mtcpd()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	socket := filepath.Join(g.dir, "sock")
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), g.env...)
		return cmd
	}
	args := append([]string{"--interface", netrig.Dev, "--socket", socket, "--gateway", filepath.Join(g.dir, "gateway.yaml"), "--log-level", "debug"}, g.args...)
	g.process = started(w.t, w.router, "mtcpd", run(args...))
	w.sites["s1"].await("the gateway", func() bool { return run("ls", "--socket", socket).Run() == nil })
}

func defaultVia(gw string) error {
	ip, dst := net.ParseIP(gw), &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	if ip.To4() != nil {
		dst = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	}
	return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: ip})
}

// only is the one session, and where it is.
func (w *world) only() (at *site, id string) {
	w.t.Helper()
	w.sites["s1"].await("the session", func() bool {
		n, pid := 0, 0
		for _, s := range w.sites {
			for _, v := range s.ls() {
				at, id, pid = s, v.ID, v.PID
				n++
			}
		}
		return n == 1 && pid != 0
	})
	return at, id
}

// other is the name of a site that this one is not.
func (w *world) other(s *site) string {
	for _, name := range w.names {
		if name != s.name {
			return name
		}
	}
	return ""
}

// redirect moves the one session by a way, to and fro.
func (w *world) redirect(by string, hops int) {
	w.t.Helper()
	for i := range hops {
		at, id := w.only()
		time.Sleep(100 * time.Millisecond)
		if out, err := at.ask("move", "--by", by, "--to", w.other(at), id); err != nil {
			w.t.Fatalf("hop %d: %v: %s", i, err, out)
		}
	}
}

// A session goes to and fro at a gateway; its client has no agent.
func TestGatewayMoves(t *testing.T) {
	for _, c := range []struct{ up, v6 bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprintf("upload %t v6 %t", c.up, c.v6), func(t *testing.T) {
			w := newGated(t)
			way := w.download
			if c.up {
				way = w.upload
			}
			end := way(own(0, c.v6).Addr(), long)
			w.redirect("gateway", 4)
			end()
		})
	}
}

// A gateway that does not know where a session is to go leaves it where it is.
func TestGatewayRefuses(t *testing.T) {
	w := newGated(t)
	w.gate.kill()
	w.gate.serve(w, "s1")
	end := w.download(own(0, false).Addr(), long)
	at, id := w.only()
	if out, err := at.ask("move", "--by", "gateway", "--to", "s2", id); err == nil {
		t.Errorf("it has moved: %s", out)
	}
	end()
}

// translates has a router hide clients behind its own address, and drop what belongs to no
// connection that it knows.
func translates(router *netrig.Host) {
	router.Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "0")
	router.Do(func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(`table inet way {
	chain forward { type filter hook forward priority 0; ct state invalid drop; }
	chain post { type nat hook postrouting priority 100; ip saddr 10.8.0.0/24 ip daddr 10.9.0.0/24 masquerade; ip6 saddr fd08::/64 ip6 daddr fd09::/64 masquerade; }
}`)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
}

// A client behind a translator of addresses, and a firewall that knows connections, goes
// from one server to the other and back; nobody on the way knows of it.
func TestAgentMovesThroughATranslator(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		lab.Skip(t, err.Error())
	}
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			w := newGated(t)
			translates(w.router)
			a := w.agent("--patience", hang.String())
			end := w.download(own(0, v6).Addr(), long)
			a.flow()
			if remote := w.sites["s1"].ls()[0].Remote; strings.Contains(remote, "10.8.0.9") || strings.Contains(remote, "fd08::9") {
				t.Errorf("nothing was translated: its client is %s", remote)
			}
			a.hops(v6)
			end()
		})
	}
}
