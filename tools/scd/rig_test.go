// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/identity"
	"lazystate/internal/netrig"
	"lazystate/internal/syncbuf"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/escrow"
	"lazystate/tools/lab"
)

// hang is how long a test waits for what must come.
const hang = 2 * time.Minute

// The test's own binary plays the daemon and the server.
func TestMain(m *testing.M) {
	switch os.Getenv("SCD_ROLE") {
	case "scd":
		if at := os.Getenv("SCD_KILL"); at != "" {
			point = func(step string) {
				if step == at {
					killVictim()
				}
			}
		}
		if at := os.Getenv("SCD_FULL"); at != "" {
			point = func(step string) {
				if step != at {
					return
				}
				if err := fill("certs"); err != nil {
					panic(err)
				}
			}
		}
		os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
	case "web":
		slow, _ := time.ParseDuration(os.Getenv("SCD_SLOW"))
		fmt.Fprintln(os.Stderr, web(os.Getenv("SCD_SERVERS"), os.Getenv("SCD_LISTEN"), slow))
		os.Exit(1)
	case "half":
		stays := os.Getenv("SCD_STAYS") != ""
		fmt.Fprintln(os.Stderr, half(os.Getenv("SCD_SERVERS"), func(c *cbox.Conn) ([]byte, error) { return halved(c, stays) }))
		os.Exit(1)
	case "act":
		fmt.Fprintln(os.Stderr, half(os.Getenv("SCD_SERVERS"), acted))
		os.Exit(1)
	}
	code := lab.Main(m, 1)
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

// site is a server machine with its daemon and its web server.
type site struct {
	*netrig.Host
	t    *testing.T
	name string
	dir  string
	key  identity.PublicKey
	scd  *process
	web  *process
}

// world is a client and servers on one network; the service's address is at s1.
type world struct {
	t      *testing.T
	rig    *netrig.Rig
	client *netrig.Host
	router *netrig.Host // nil: there is none
	names  []string
	sites  map[string]*site
	addr   netip.Addr
	at     string
	more   func(s *site, cfg map[string]any) // what a site's configuration has besides
	gate   *gate
	half   bool // its servers have that service as well
}

const port = 8000

func newWorld(t *testing.T, v6 bool) *world {
	t.Helper()
	return (&world{t: t, names: []string{"s1", "s2"}}).build(v6)
}

// build makes the hosts and starts what runs there. Worlds know nothing of each other:
// their tests run at once.
func (w *world) build(v6 bool) *world {
	t := w.t
	t.Helper()
	t.Parallel()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	r := netrig.New(t, append([]string{"client", "router"}, w.names...)...)
	w.rig, w.client, w.sites, w.addr, w.at = r, r.Host("client"), map[string]*site{}, netip.MustParseAddr("10.9.0.100"), "s1"
	w.client.Sysctl("net/ipv4/tcp_rmem", "4096 131072 6291456") // see inKernels: where it is 32 MB, a slow machine's buffers grow to that
	if w.gate == nil {
		w.client.Addr("10.9.0.9/24")
		w.client.Addr("fd09::9/64")
	}
	prefix := "10.9.0.100/24"
	if v6 {
		w.addr, prefix = netip.MustParseAddr("fd09::100"), "fd09::100/64"
	}
	for i, name := range w.names {
		s := &site{Host: r.Host(name), t: t, name: name, dir: t.TempDir()}
		s.Sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")
		s.Addr(fmt.Sprintf("10.9.0.%d/24", i+1))
		s.Addr(fmt.Sprintf("fd09::%d/64", i+1))
		var err error
		if s.key, err = identity.Create(filepath.Join(s.dir, "id.pem")); err != nil {
			t.Fatal(err)
		}
		w.sites[name] = s
	}
	w.sites["s1"].Addr(prefix)
	if w.gate != nil {
		w.gate.build(w)
	}
	for _, s := range w.sites {
		w.configure(s)
		t.Cleanup(s.noHolder)
		s.startSCD()
		s.startWeb()
	}
	return w
}

// own is where a site serves under an address of its own.
func own(i int, v6 bool) netip.AddrPort {
	if v6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[fd09::%d]:%d", i+1, port))
	}
	return netip.MustParseAddrPort(fmt.Sprintf("10.9.0.%d:%d", i+1, port))
}

// services are there by their ports.
func (w *world) services() map[uint16]string {
	all := map[uint16]string{port: "web"}
	if w.half {
		all[halfPort] = "half"
	}
	return all
}

// serves are the addresses of its own where a site does.
func (w *world) serves(i int) (all []netip.AddrPort) {
	for p := range w.services() {
		all = append(all, netip.AddrPortFrom(own(i, false).Addr(), p), netip.AddrPortFrom(own(i, true).Addr(), p))
	}
	return all
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// configure writes a daemon's file.
func (w *world) configure(s *site) {
	w.t.Helper()
	var peers, services []any
	names := w.services()
	serve := func(at netip.AddrPort, device string) {
		v := map[string]any{"name": names[at.Port()], "user": fmt.Sprint(os.Getuid()), "listen": at.String()}
		if device != "" {
			v["device"] = device
		}
		services = append(services, v)
	}
	for i, name := range w.names {
		if o := w.sites[name]; o != s {
			peers = append(peers, map[string]any{"name": name, "address": fmt.Sprintf("10.9.0.%d:7701", i+1), "key": o.key.String(), "serves": w.serves(i)})
			continue
		}
		for _, at := range w.serves(i) {
			serve(at, "")
		}
	}
	for p := range names {
		serve(netip.AddrPortFrom(w.addr, p), netrig.Dev)
	}
	cfg := map[string]any{
		"servers": s.path("servers"), "socket": s.path("control"), "metrics": "-", "journal": s.path("moves"), "listen": ":7701",
		"identity": s.path("id.pem"), "peers": peers,
		"services": services, "interfaces": []string{netrig.Dev},
	}
	if w.more != nil {
		w.more(s, cfg)
	}
	text, err := json.Marshal(cfg) // JSON is YAML
	if err == nil {
		err = os.WriteFile(s.path("scd.yaml"), text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// process is one of a site's.
type process struct {
	*exec.Cmd
	log  *syncbuf.Buffer
	once sync.Once
}

func (s *site) start(role string, args []string, env ...string) *process {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(append(os.Environ(), "SCD_ROLE="+role), env...)
	return started(s.t, s.Host, role, cmd)
}

// started runs a process on a host until the test ends.
func started(t *testing.T, h *netrig.Host, what string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, log: &syncbuf.Buffer{}}
	p.Stderr = p.log
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a death signal would come with the thread's end
	h.Do(p.Start)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s of %s said:\n%s", what, h.Name, p.log)
		}
	})
	return p
}

// ended is closed when a process has ended.
func (p *process) ended() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		p.once.Do(func() { _ = p.Wait() })
		close(done)
	}()
	return done
}

// died waits for a process that ends itself.
func (p *process) died(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended():
	case <-time.After(hang):
		t.Fatal("the process did not get to where it ends")
	}
}

// stop is SIGSTOP of a process that waits: within an operation it would keep hold of
// its session. It returns when none of its threads runs any more.
func (p *process) stop(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		if err := p.Process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		var is unix.WaitStatus
		if _, err := unix.Wait4(p.Process.Pid, &is, unix.WUNTRACED, nil); err != nil || !is.Stopped() {
			t.Fatalf("%v, status %#x", err, is)
		}
		calls := p.calls(t)
		if !slices.ContainsFunc(calls, func(c string) bool { return !slices.Contains(waits, c) }) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not come to wait: it is in calls %v", calls)
		}
		if err := p.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}

// waits are the system calls in which threads of a process that waits are.
var waits = []string{fmt.Sprint(unix.SYS_FUTEX), fmt.Sprint(unix.SYS_EPOLL_PWAIT), fmt.Sprint(unix.SYS_NANOSLEEP), fmt.Sprint(unix.SYS_RECVMSG)}

// calls are the system calls in which its threads are; -1: none.
func (p *process) calls(t *testing.T) (all []string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatal("its threads are not to be seen", err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(b))[0])
	}
	return all
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.Process.Kill()
	p.once.Do(func() { _ = p.Wait() })
}

func (s *site) startSCD(env ...string) {
	s.t.Helper()
	s.launchSCD(env...)
	s.await("the daemon", func() bool { _, err := os.Stat(s.path("control")); return err == nil && s.ctl("ls") == nil })
}

// launchSCD is startSCD of one that may die at once.
func (s *site) launchSCD(env ...string) {
	s.t.Helper()
	s.scd = s.start("scd", []string{"--config", s.path("scd.yaml"), "--log-level", "debug"}, env...)
}

// noHolder ends what waits for a daemon that will not come.
func (s *site) noHolder() {
	if _, err := escrow.Empty(escrowIn(s.path("moves"))); err != nil {
		s.t.Errorf("the holder of %s: %v", s.name, err)
	}
}

func (s *site) startWeb(env ...string) {
	s.t.Helper()
	s.web = s.start("web", nil, append(env, "SCD_SERVERS="+s.path("servers"), fmt.Sprintf("SCD_LISTEN=[::]:%d", port))...)
	s.await("the web server", func() bool { return strings.Contains(s.web.log.String(), "serving") })
}

// served reports whether its web server has served a session to the end.
func (s *site) served() bool { return strings.Contains(s.web.log.String(), "served") }

func (s *site) await(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s of %s does not come", what, s.name)
		}
	}
}

// ctl asks the site's daemon, as an operator would.
func (s *site) ctl(args ...string) error {
	_, err := s.ask(args...)
	return err
}

func (s *site) ask(args ...string) (string, error) {
	var out, errs bytes.Buffer
	args = append([]string{"scd", args[0], "--socket", s.path("control"), "--json"}, args[1:]...)
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != 0 {
		return out.String(), fmt.Errorf("%v: exit %d: %s", args, code, errs.String())
	}
	return out.String(), nil
}

func (s *site) ls() []session {
	s.t.Helper()
	var all []session
	out, err := s.ask("ls")
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// move takes the address to the other server.
func (w *world) move() moved {
	w.t.Helper()
	to := map[string]string{"s1": "s2", "s2": "s1"}[w.at]
	out, err := w.sites[w.at].ask("move", "--to", to, w.addr.String())
	if err != nil {
		w.t.Fatal(err)
	}
	var m moved
	for line := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			w.t.Fatal(err)
		}
	}
	w.at = to
	return m
}
