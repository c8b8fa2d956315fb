// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/tools/control"
)

// frame is what the rig takes for a test: its errors end the demonstration.
type frame struct{ ends []func() }

// failure is what Fatal panics with.
type failure struct{ error }

func (f *frame) Helper()           {}
func (f *frame) Cleanup(g func())  { f.ends = append(f.ends, g) }
func (f *frame) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

func (f *frame) end() {
	for _, g := range slices.Backward(f.ends) {
		g()
	}
}

// stage is the machines and what runs on them.
type stage struct {
	*frame
	bin, dir       string
	file           string // that is downloaded
	client, router *netrig.Host
	servers        []*server
	gatewayKey     identity.PublicKey
}

type server struct {
	*netrig.Host
	dir  string
	addr netip.Addr
	key  identity.PublicKey
	web  *exec.Cmd
}

const port = 80

// shared is the address that moves; the first server has it.
var shared = netip.MustParseAddr("10.9.0.100")

func (v *server) at() netip.AddrPort       { return netip.AddrPortFrom(v.addr, port) }
func (v *server) path(name string) string  { return filepath.Join(v.dir, name) }
func (s *stage) path(name string) string   { return filepath.Join(s.dir, name) }
func (s *stage) folder(name string) string { return s.made(s.path(name)) }

func (s *stage) made(dir string) string {
	s.must(os.MkdirAll(dir, 0o700))
	return dir
}

func (s *stage) must(err error) {
	if err != nil {
		s.Fatal(err)
	}
}

// build makes the machines: the client behind a router, the servers on the other side.
func (s *stage) build(ctx context.Context) {
	r := netrig.New(s, "client", "router", "s1", "s2", "s3")
	s.client, s.router = r.Host("client"), r.Host("router")
	for _, way := range ways {
		s.client.Addr(way.client.String() + "/24")
	}
	s.router.Addr("10.8.0.254/24")
	s.router.Addr("10.9.0.254/24")
	s.router.Sysctl("net/ipv4/ip_forward", "1")
	s.router.Sysctl("net/ipv4/conf/all/send_redirects", "0")
	s.router.Sysctl("net/ipv4/conf/"+netrig.Dev+"/send_redirects", "0")
	s.client.Do(func() error { return defaultVia("10.8.0.254") })
	var err error
	for i := range 3 {
		v := &server{Host: r.Host(fmt.Sprintf("s%d", i+1)), addr: netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 1)})}
		v.dir = s.folder(v.Name)
		v.Addr(v.addr.String() + "/24")
		v.Do(func() error { return defaultVia("10.9.0.254") })
		v.key, err = identity.Create(v.path("id.pem"))
		s.must(err)
		s.servers = append(s.servers, v)
	}
	s.servers[0].Addr(shared.String() + "/24")
	s.gatewayKey, err = identity.Create(s.path("gateway.pem"))
	s.must(err)
	s.gateway(ctx)
	for _, v := range s.servers {
		s.serve(ctx, v)
	}
	s.start(s.client, "mtcpd", "--interface", netrig.Dev, "--socket", s.path("agent"), "--patience", "20s")
	s.answers(ctx, s.path("agent"))
}

func defaultVia(gw string) error {
	return netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Gw: net.ParseIP(gw)})
}

// write makes a configuration: JSON is YAML.
func (s *stage) write(path string, cfg map[string]any) {
	text, err := json.Marshal(cfg)
	s.must(err)
	s.must(os.WriteFile(path, text, 0o600))
}

func (s *stage) gateway(ctx context.Context) {
	var servers []any
	for _, v := range s.servers {
		servers = append(servers, map[string]any{"name": v.Name, "key": v.key.String(), "serves": []string{v.at().String()}})
	}
	s.write(s.path("gateway.yaml"), map[string]any{"identity": s.path("gateway.pem"), "listen": "10.9.0.254:7702", "servers": servers})
	s.start(s.router, "mtcpd", "--interface", netrig.Dev, "--socket", s.path("gateway"), "--gateway", s.path("gateway.yaml"))
	s.answers(ctx, s.path("gateway"))
}

func (s *stage) serve(ctx context.Context, v *server) {
	var peers []any
	for _, o := range s.servers {
		if o != v {
			peers = append(peers, map[string]any{"name": o.Name, "address": netip.AddrPortFrom(o.addr, 7701).String(), "key": o.key.String(), "serves": []string{o.at().String()}})
		}
	}
	user := fmt.Sprint(os.Getuid())
	s.write(v.path("scd.yaml"), map[string]any{
		"servers": v.path("servers"), "socket": v.path("control"), "metrics": "-", "journal": v.path("moves"),
		"listen": ":7701", "identity": v.path("id.pem"), "peers": peers, "interfaces": []string{netrig.Dev},
		"gateways": []any{map[string]any{"name": "gw", "address": "10.9.0.254:7702", "key": s.gatewayKey.String()}},
		"services": []any{
			map[string]any{"name": "web", "user": user, "listen": v.at().String()},
			map[string]any{"name": "web", "user": user, "listen": netip.AddrPortFrom(shared, port).String(), "device": netrig.Dev},
		},
	})
	s.start(v.Host, "scd", "--config", v.path("scd.yaml"))
	s.answers(ctx, v.path("control"))
	s.startWeb(ctx, v)
}

func (s *stage) startWeb(ctx context.Context, v *server) {
	v.web = s.start(v.Host, "web", "--keeper", v.path("servers"), "--listen", fmt.Sprintf("0.0.0.0:%d", port), "--root", s.path("www"))
	s.await(ctx, "the web server of "+v.Name, func() bool {
		var c net.Conn
		err := v.Try(func() (err error) { c, err = net.Dial("tcp", v.at().String()); return err })
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// start runs a program on a machine until the end.
func (s *stage) start(h *netrig.Host, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	log := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	h.Do(cmd.Start)
	var once sync.Once
	s.Cleanup(func() {
		once.Do(func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
		})
	})
	return cmd
}

// answers waits for a daemon.
func (s *stage) answers(ctx context.Context, socket string) {
	s.await(ctx, socket, func() bool { return control.Ask(ctx, socket, control.Request{Cmd: "ls"}, nil) == nil })
}

// patience is how long the demonstration waits for what must come.
const patience = time.Minute

func (s *stage) await(ctx context.Context, what string, f func() bool) {
	for end := time.Now().Add(patience); !f(); time.Sleep(10 * time.Millisecond) {
		s.must(ctx.Err())
		if time.Now().After(end) {
			s.Fatal(what + " does not come")
		}
	}
}
