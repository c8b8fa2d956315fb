// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lazystate/internal/goprogram"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

// builds is where the client's daemon is built, once; mortal is its test's binary, which
// can be told to kill itself.
var builds struct {
	sync.Mutex
	dir string
}

func build(name string, how func(dir string) error) (string, error) {
	builds.Lock()
	defer builds.Unlock()
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "mtcpd")
		if err != nil {
			return "", err
		}
		builds.dir = dir
	}
	return filepath.Join(builds.dir, name), how(builds.dir)
}

var (
	mtcpd = sync.OnceValues(func() (string, error) {
		return build("mtcpd", func(dir string) error { return goprogram.Build(context.Background(), dir, "lazystate/tools/mtcpd") })
	})
	mortal = sync.OnceValues(func() (string, error) {
		return build("mtcpd.test", func(dir string) error {
			out, err := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "mtcpd.test"), "lazystate/tools/mtcpd").CombinedOutput()
			if err != nil {
				return fmt.Errorf("build mtcpd's tests: %w: %s", err, out)
			}
			return nil
		})
	})
)

// agent is a client's mtcpd.
type agent struct {
	w      *world
	args   []string
	env    []string
	path   string
	socket string
	*process
}

func (w *world) agent(args ...string) *agent {
	w.t.Helper()
	path, err := mtcpd()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.agentOf(path, nil, args...)
}

func (w *world) agentOf(path string, env []string, args ...string) *agent {
	w.t.Helper()
	if err := steer.Probe(); err != nil {
		lab.Skip(w.t, err.Error())
	}
	a := &agent{w: w, args: args, env: env, path: path, socket: filepath.Join(w.t.TempDir(), "sock")}
	a.start()
	return a
}

func (a *agent) start() {
	a.w.t.Helper()
	cmd := exec.Command(a.path, append([]string{"--interface", "eth0", "--socket", a.socket, "--log-level", "debug"}, a.args...)...)
	cmd.Env = append(os.Environ(), a.env...)
	a.process = started(a.w.t, a.w.client, "mtcpd", cmd)
	a.w.sites["s1"].await("the client's agent", func() bool { _, err := a.ask("ls", "--json"); return err == nil })
}

func (a *agent) ask(args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(a.path, append([]string{args[0], "--socket", a.socket}, args[1:]...)...)
	cmd.Env = append(os.Environ(), a.env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("mtcpd %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// move moves a connection to a server, or to whom its offer names.
func (a *agent) move(l line, to ...netip.AddrPort) error {
	args := []string{"move"}
	for _, server := range to {
		args = append(args, "--to", server.String())
	}
	_, err := a.ask(append(args, l.Flow)...)
	return err
}

// line is of `mtcpd ls --json`.
type line struct {
	Flow, At string
	Servers  []string
	Moves    int
	Moving   bool
	Received uint64
}

func (a *agent) connections() []line {
	a.w.t.Helper()
	out, err := a.ask("ls", "--json")
	var all []line
	if err == nil {
		err = json.Unmarshal([]byte(out), &all)
	}
	if err != nil {
		a.w.t.Fatal(err)
	}
	return all
}

// flow is the one connection, once a server has accepted it: before that there
// is nothing to be given away.
func (a *agent) flow() line {
	a.w.t.Helper()
	l := a.connection()
	a.w.only()
	return l
}

// connection is the one that there is, whether or not a server's process has it.
func (a *agent) connection() line {
	a.w.t.Helper()
	var all []line
	a.w.sites["s1"].await("a connection that can move", func() bool { all = a.connections(); return len(all) == 1 })
	return all[0]
}

// hop moves the one connection to the other server.
func (a *agent) hop(v6 bool) {
	a.w.t.Helper()
	l := a.flow()
	to := own(1, v6)
	if netip.MustParseAddrPort(l.At) == to {
		to = own(0, v6)
	}
	if err := a.move(l, to); err != nil {
		a.w.t.Fatal(err)
	}
}

func (a *agent) hops(v6 bool) {
	a.w.t.Helper()
	for range 4 {
		time.Sleep(100 * time.Millisecond)
		a.hop(v6)
	}
}

// A client with an agent downloads from one server after another, each with an
// address of its own; curl has connected to the first and knows nothing.
func TestAgentMovesDownload(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			w := newWorld(t, false)
			a := w.agent("--patience", hang.String())
			end := w.download(own(0, v6).Addr(), long)
			a.hops(v6)
			end()
		})
	}
}

func TestAgentMovesUpload(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", hang.String())
	end := w.upload(own(0, false).Addr(), long)
	a.hops(false)
	end()
}

// s1Elsewhere is a configuration by which S2 has no connection to S1 before that has its
// other address.
func s1Elsewhere(s *site, cfg map[string]any) {
	if s.name == "s2" {
		cfg["peers"].([]any)[0].(map[string]any)["address"] = "10.9.0.51:7701"
	}
}

const s1sOther = "10.9.0.51/24"

// A client asks before S2 has a connection to S1, and again: its session moves when
// the servers have met.
func TestAgentAsksUntilServersMeet(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2"}, more: s1Elsewhere}).build(false)
	a := w.agent("--patience", hang.String())
	w.addr = own(0, false).Addr()
	finish := w.idle()
	l, s1, s2 := a.flow(), w.sites["s1"], w.sites["s2"]
	result := make(chan error, 1)
	go func() { result <- a.move(l, own(1, false)) }()
	s2.await("the client's request", func() bool { return strings.Contains(s2.scd.log.String(), "not answered yet") })
	s1.Addr(s1sOther)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	finish()
	s2.await("the end", s2.served)
}

// S2 refuses, knows nothing of M-TCP, or is not there, or S2 does not reach S1: the client
// stays, and its application notices nothing.
func TestAgentStays(t *testing.T) {
	for name, c := range map[string]struct {
		s2    map[string]any // what its configuration has besides
		spoil func(w *world)
		err   string
	}{
		"refuses: the state is too large": {s2: map[string]any{"state": map[string]any{"box": 4096}}, err: "MIGRATE_REFUSE: resources"},
		"no daemon":                       {spoil: func(w *world) { w.sites["s2"].scd.kill() }},
		"no daemon, no listener":          {spoil: func(w *world) { w.sites["s2"].scd.kill(); w.sites["s2"].web.kill() }},
		"unreachable":                     {spoil: func(w *world) { w.sites["s2"].Unaddr("10.9.0.2/24") }},
		"S1's daemon is gone":             {spoil: func(w *world) { w.sites["s1"].scd.kill() }},
	} {
		t.Run(name, func(t *testing.T) {
			w := (&world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
				if s.name == "s2" {
					maps.Copy(cfg, c.s2)
				}
			}}).build(false)
			patience := "3s"
			if c.err != "" { // S2 is there, however slow
				patience = "20s"
			}
			a := w.agent("--patience", patience)
			end := w.download(own(0, false).Addr(), long)
			l := a.flow()
			if c.spoil != nil {
				c.spoil(w)
			}
			if err := a.move(l); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("the move: %v", err)
			}
			if now := a.connections(); len(now) != 1 || now[0].At != l.At {
				t.Errorf("now it is %v", now)
			}
			end()
			s1 := w.sites["s1"]
			s1.await("the session's end", s1.served)
		})
	}
}

// A client's first refused move is answered as soon as S1 is told that it stays, which goes
// on a little longer; whoever moves it then waits for that, and is told why as well.
func TestRefusalIsAnsweredAtOnce(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
		if s.name == "s2" {
			cfg["state"] = map[string]any{"box": 4096}
		}
	}}).build(false)
	a := w.agent("--patience", "20s")
	w.addr = own(0, false).Addr()
	finish := w.idle()
	l := a.flow()
	refused := func() {
		t.Helper()
		if err := a.move(l); err == nil || !strings.Contains(err.Error(), "MIGRATE_REFUSE: resources") {
			t.Fatalf("the move: %v", err)
		}
	}
	w.sites["s1"].await("an answer before the end", func() bool {
		refused()
		return a.connections()[0].Moving
	})
	refused()
	finish()
}
