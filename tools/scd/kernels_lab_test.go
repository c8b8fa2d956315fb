// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/tools/lab"
)

// guest is a server machine of the lab with its daemon and its web server.
type guest struct {
	t    *testing.T
	vm   *lab.VM
	prog lab.Proc // the test's own binary, there
}

const (
	guestDir   = "/run/scd"
	guestLog   = guestDir + "/log"
	service    = "10.9.0.100"
	mostServed = 12 << 20 // more than all the buffers on the way
)

// kernels are the oldest that we mean to run on, which has clsact only, and a
// recent one.
var kernels = []string{"6.1", "6.12"}

// onKernel is a machine that all of these tests share. The limits of its TCP's
// memory are those of several machines: as many as the rigs of the tests make of
// it.
func onKernel(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	return lab.Shared(t, lab.Config{
		Kernel: kernel, MemMiB: 256, NICs: []lab.NIC{{Addr: "10.9.0.1/24"}},
		Modules: []string{"veth", "bridge", "tun", "sch_ingress", "cls_bpf", "crc32c_generic", "nf_tables", "nft_ct", "nf_conntrack_netlink"},
		Sysctl:  map[string]string{"net.ipv4.tcp_mem": "16384 24576 32768"},
	})
}

// settings are a daemon's file: own and other are this server and its peer.
func settings(t *testing.T, dir, device, own, other string, key identity.PublicKey) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"servers": dir + "/servers", "socket": dir + "/control", "metrics": "-", "journal": dir + "/moves",
		"listen": own + ":7701", "identity": dir + "/id.pem",
		"peers": []any{map[string]any{"name": "other", "address": other + ":7701", "key": key.String(), "serves": []string{fmt.Sprintf("%s:%d", other, port)}}},
		"services": []any{
			map[string]any{"name": "web", "user": "0", "listen": fmt.Sprintf("%s:%d", service, port), "device": device},
			map[string]any{"name": "web", "user": "0", "listen": fmt.Sprintf("%s:%d", own, port)},
		},
		"interfaces": []string{device},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// twoServers are a machine of the lab, which has the service's address, and a
// namespace of this host, on one network with a client.
func twoServers(t *testing.T, kernel string) (*guest, *site, *netrig.Host) {
	t.Helper()
	r := netrig.New(t, "client", "s2")
	client, s := r.Host("client"), &site{Host: r.Host("s2"), t: t, name: "s2", dir: t.TempDir()}
	client.Addr("10.9.0.9/24")
	s.Addr("10.9.0.2/24")
	g := &guest{t: t, vm: onKernel(t, kernel)}
	if err := lab.Cable(g.vm.Config().Net, "br0", r.Wire.Try); err != nil {
		t.Fatal(err)
	}
	g.prog = lab.PutTest(t, g.vm, lab.TestBuild{}, "./tools/scd")
	g.prog.Argv = g.prog.Argv[:1]
	var err error
	if s.key, err = identity.Create(s.path("id.pem")); err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "id.pem")
	key, err := identity.Create(pem)
	if err == nil {
		err = g.vm.Put(t.Context(), pem, guestDir+"/id.pem")
	}
	if err == nil {
		err = g.vm.WriteFile(t.Context(), guestDir+"/scd.yaml", settings(t, guestDir, "eth0", "10.9.0.1", "10.9.0.2", s.key), 0o600)
	}
	if err == nil {
		err = os.WriteFile(s.path("scd.yaml"), settings(t, s.dir, netrig.Dev, "10.9.0.2", "10.9.0.1", key), 0o600)
	}
	if err == nil {
		_, err = g.vm.Must(t.Context(), "ip", "addr", "add", service+"/24", "dev", "eth0")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.startSCD()
	s.startWeb()
	g.start("scd", "--config", guestDir+"/scd.yaml", "--log-level", "debug")
	g.await("the daemon", func() bool { _, err := g.ask("ls"); return err == nil })
	g.start("web")
	g.await("the web server", func() bool { return strings.Contains(g.log(), "serving") })
	return g, s, client
}

// start leaves the test's binary running in a role; it ends with the machine.
func (g *guest) start(role string, args ...string) {
	g.t.Helper()
	p := lab.Proc{
		Argv: append([]string{"/bin/sh", "-c", `exec "$0" "$@" >>` + guestLog + ` 2>&1`, g.prog.Argv[0]}, args...),
		Dir:  g.prog.Dir,
		Env: append([]string{"SCD_ROLE=" + role, "SCD_SERVERS=" + guestDir + "/servers",
			fmt.Sprintf("SCD_LISTEN=0.0.0.0:%d", port)}, g.prog.Env...),
	}
	if _, err := g.vm.Start(g.t.Context(), p); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) log() string {
	b, err := g.vm.ReadFile(g.t.Context(), guestLog)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (g *guest) await(what string, f func() bool) {
	g.t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("%s does not come; the guest said:\n%s", what, g.log())
		}
	}
}

// ask asks the machine's daemon there, as an operator would.
func (g *guest) ask(args ...string) (string, error) {
	p := g.prog
	p.Argv = append([]string{p.Argv[0], args[0], "--socket", guestDir + "/control", "--json"}, args[1:]...)
	p.Env = append([]string{"SCD_ROLE=scd"}, p.Env...)
	r, err := g.vm.RunProc(g.t.Context(), p, nil)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("scd %v: exit %d: %s", args, r.Exit, r.Stderr)
	}
	return r.Stdout, err
}

// away takes the address and its session from the server that is asked.
func away(t *testing.T, ask func(args ...string) (string, error)) {
	t.Helper()
	out, err := ask("move", "--to", "other", service)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var m moved
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil || m.Sessions != 1 {
		t.Fatalf("%q, %v", out, err)
	}
	t.Logf("%d bytes, frozen for %d us", m.Bytes, m.FrozenUs)
}

// On each of these kernels the parts' own tests, and sessions that come and go: with their
// address, and by their client's agent.
func TestOnKernels(t *testing.T) {
	lab.Need(t)
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) {
			for _, p := range parts {
				t.Run(p.pkg, func(t *testing.T) {
					run := p.run
					if lab.Soak() && p.all {
						run = "."
					}
					// The compiler and nft are here and not there.
					lab.RunTest(t, onKernel(t, kernel), "./mtcp/"+p.pkg, "-test.run="+run, "-test.skip=OfTheSources|MoveThrough")
				})
			}
			t.Run("session", func(t *testing.T) {
				g, s, client := twoServers(t, kernel)
				movesThereAndBack(t, g, s, client)
				movesByAgent(t, g, s, client)
			})
		})
	}
}

// parts and those of their tests for which the kernel matters most; make soak
// has all, where they need no compiler.
var parts = []struct {
	pkg, run string
	all      bool
}{
	{"cbox", "CountersInEveryState|NothingCountsAfterAReset|ActionsAcrossADeath|TestReplay$|IdleSessionIsSmall", false},
	{"tcprepair", "TestStates/ipv4$|MovesUnderLoad/ipv6|TornDump|NoMemoryLeft|FrozenSocketSendsNothingNew|SentInNameOnly", true},
	{"takeover", "TakeoverUnderLoad/ipv6", true},
	{"steer", "AreTheModel|HandshakeOfAMove|OutliveTheAgent|CloseLeavesNothing|OutlivesASilentServer/clsact", true},
}

// A session goes from a machine with such a kernel to this host's in the middle of
// its request, and back in the middle of the answer.
func movesThereAndBack(t *testing.T, g *guest, s *site, client *netrig.Host) {
	c := g.dialed(client, service)
	say := func(text string) {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	say(fmt.Sprintf("GET /%d HTT", mostServed))
	g.await("the session", func() bool { out, err := g.ask("ls"); return err == nil && strings.Contains(out, `"id"`) })
	away(t, g.ask)
	say("P/1.1\r\nHost: x\r\n\r\n")
	first := make([]byte, mostServed/3)
	if _, err := io.ReadFull(c, first); err != nil {
		t.Fatal(err)
	}
	away(t, s.ask)
	g.restOf(c, first)
}

// dialed is a client's connection to an address.
func (g *guest) dialed(client *netrig.Host, to string) (c net.Conn) {
	g.t.Helper()
	client.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", fmt.Sprintf("%s:%d", to, port), hang)
		return err
	})
	g.t.Cleanup(func() { c.Close() })
	if err := errors.Join(c.SetDeadline(time.Now().Add(hang)), c.(*net.TCPConn).SetReadBuffer(256<<10)); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// restOf reads the rest of an answer, and checks all of it.
func (g *guest) restOf(c net.Conn, first []byte) {
	g.t.Helper()
	rest, err := io.ReadAll(c)
	if err != nil {
		g.t.Fatalf("%v after %d bytes; the guest said:\n%s", err, len(first)+len(rest), g.log())
	}
	_, body, _ := bytes.Cut(append(first, rest...), []byte("\r\n\r\n"))
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != patternSum(mostServed) {
		g.t.Errorf("%d bytes of %d, or others", len(body), mostServed)
	}
}

// A client's agent takes its session from such a machine to this host in the middle of the
// answer, and back: that machine's kernel carries the offer, and holds and lets go of the
// flow, by clsact where it has no TCX.
func movesByAgent(t *testing.T, g *guest, s *site, client *netrig.Host) {
	w := &world{t: t, client: client, sites: map[string]*site{"s1": s}} // what an agent's rig wants of one
	a := w.agent("--patience", hang.String())
	c := g.dialed(client, "10.9.0.1")
	if _, err := fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", mostServed); err != nil {
		t.Fatal(err)
	}
	var l line
	g.await("a session that can move", func() bool {
		out, err := g.ask("ls")
		all := a.connections()
		if len(all) == 1 {
			l = all[0]
		}
		return len(all) == 1 && err == nil && strings.Contains(out, `"id"`)
	})
	got := make([]byte, 0, mostServed)
	for i := range 2 {
		part := make([]byte, mostServed/6)
		if _, err := io.ReadFull(c, part); err != nil {
			t.Fatalf("%v before move %d; the guest said:\n%s", err, i, g.log())
		}
		got = append(got, part...)
		g.await("a move", func() bool {
			err := a.move(l, own(1-i, false)) // s is 10.9.0.2
			if err != nil {
				t.Log(err)
			}
			return err == nil
		})
	}
	g.restOf(c, got)
}
