// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lazystate/tools/lab"
)

// downloads begins so many; end waits for all.
func (w *world) downloads(n, total int) (end func()) {
	w.t.Helper()
	var ends []func()
	for range n {
		ends = append(ends, w.download(own(0, false).Addr(), total))
	}
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s1.await("all sessions", func() bool { return len(s1.ls())+len(s2.ls()) == n })
	return func() {
		for _, f := range ends {
			f()
		}
	}
}

// newWorldBy has what it takes for sessions to move by that way.
func newWorldBy(t *testing.T, by string) *world {
	if by == "gateway" {
		return newGated(t)
	}
	w := newWorld(t, false)
	if by == "client" {
		w.agent("--patience", "20s")
	}
	return w
}

// A drain leaves nothing, whichever way; the clients notice nothing.
func TestDrain(t *testing.T) {
	const n = 5
	for _, by := range []string{"takeover", "gateway", "client"} {
		t.Run(by, func(t *testing.T) {
			w := newWorldBy(t, by)
			s1, s2 := w.sites["s1"], w.sites["s2"]
			var end func()
			if by == "takeover" {
				var ends []func()
				for range n {
					ends = append(ends, w.download(w.addr, long))
				}
				s1.await("all sessions", func() bool { return len(s1.ls()) == n })
				end = func() {
					for _, f := range ends {
						f()
					}
				}
			} else {
				end = w.downloads(n, long)
			}
			if out, err := s1.ask("drain", "--by", by, "--to", "s2"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if here, there := len(s1.ls()), len(s2.ls()); here != 0 || there != n {
				t.Errorf("%d are here, %d there", here, there)
			}
			end()
		})
	}
}

// A server of many sessions is drained, whichever way: all of them are somewhere, and in
// the end none is here. A server asks for no more at once than others answer (rate.go), so
// who is beyond that is asked for again.
func TestManyDrained(t *testing.T) {
	n := lab.Count(30, 2000)
	for _, by := range []string{"takeover", "gateway", "client"} {
		t.Run(by, func(t *testing.T) {
			w := newWorldBy(t, by)
			if by != "takeover" {
				w.addr = own(0, false).Addr()
			}
			s1, s2 := w.sites["s1"], w.sites["s2"]
			var ends []func()
			for range n {
				ends = append(ends, w.idle())
			}
			s1.await("all sessions", func() bool { return len(s1.ls()) == n })
			for tries := 1; len(s1.ls()) > 0; tries++ {
				out, err := s1.ask("drain", "--by", by, "--to", "s2")
				t.Logf("drain: %s, %v", out, err)
				if tries == 50 {
					t.Fatalf("%d are still here", len(s1.ls()))
				}
			}
			s2.await("all sessions", func() bool { return len(s2.ls()) == n })
			for _, end := range ends {
				end()
			}
		})
	}
}

// One server after the other advises a client: the first advice of each is not taken for
// the other's, said once more. Nor is that of a daemon which is started anew.
func TestAdvisedBack(t *testing.T) {
	w := newWorld(t, false)
	w.agent("--patience", "20s")
	end := w.download(own(0, false).Addr(), long)
	for i := range 4 {
		at, to := w.sites[w.names[i%2]], w.names[1-i%2]
		at.await("the session, and its process", func() bool { all := at.ls(); return len(all) == 1 && all[0].PID != 0 })
		if out, err := at.ask("drain", "--by", "client", "--to", to); err != nil {
			t.Fatalf("hop %d: %v: %s", i, err, out)
		}
		if i == 1 {
			at.scd.kill()
			at.startSCD()
		}
	}
	end()
}

// A server's advice is followed; a client may decline, or have no agent.
func TestAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		agent []string
		err   string // "": it moves
	}{
		"followed": {[]string{"--patience", "20s"}, ""},
		"declined": {[]string{"--no-advice"}, "the client does not move: policy"},
		"no agent": {nil, "the client does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false)
			if c.agent != nil {
				w.agent(c.agent...)
			}
			end := w.download(own(0, false).Addr(), long)
			at, id := w.only()
			_, err := at.ask("move", "--by", "client", "--to", "s2", id)
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("move: %v", err)
			}
			if now, _ := w.only(); (now.name == "s2") != (c.err == "") {
				t.Errorf("it is at %s", now.name)
			}
			end()
		})
	}
}

// §2.7.2: the stream of a server that is ever slower is left when it comes 25 %
// more slowly than at its best.
func TestPaperRatePolicyMoves(t *testing.T) {
	w := newWorld(t, false)
	s1 := w.sites["s1"]
	s1.web.kill()
	s1.startWeb("SCD_SLOW=20ms")
	a := w.agent("--rate-drop", "0.25", "--patience", "20s")
	end := w.download(own(0, false).Addr(), 1<<20)
	s1.await("a move", func() bool { return strings.Contains(a.log.String(), "a policy moves a connection") })
	end()
	s2 := w.sites["s2"] // which says so when all is over, the client's last word too
	s2.await("word of the session", func() bool { return strings.Contains(s2.scd.log.String(), "a client's session") })
}

// A client whose server's process hangs gets its answer from another server.
func TestDelayPolicyMoves(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--delay", "1s", "--patience", "20s")
	w.addr = own(0, false).Addr()
	finish := w.idle()
	at, _ := w.only()
	other := w.sites[w.other(at)]
	at.web.stop(t)
	finish()
	other.await("the end", other.served)
	if !strings.Contains(a.log.String(), "a policy moves a connection") {
		t.Error("it was not for the policy")
	}
}

// One whose server's acknowledgements get lost goes where it hears some.
func TestLossPolicyMoves(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--loss", "1s", "--patience", "20s")
	end := w.upload(own(0, false).Addr(), long)
	w.only()
	w.rig.Wire.Do(func() error { return mute("s1") })
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s1.await("a move", func() bool { return strings.Contains(a.log.String(), "a policy moves a connection") })
	end()
	s2.await("the end", s2.served)
}

// A server sheds what is too much for it, and sends clients where they belong.
func TestServersPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy      map[string]any
		least, most int // that leave: shedding may begin before the last has come, and 3 of a capacity of 4 stay then
	}{
		"shed":    {map[string]any{"shed": map[string]any{"high": 0.9, "low": 0.5}}, 3, 4},
		"content": {map[string]any{"content": []any{map[string]any{"clients": "10.9.0.0/24", "to": "s2"}}}, 6, 6},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 6
			w := &world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
				cfg["capacity"] = map[string]int{"s1": 4, "s2": 100}[s.name]
				if s.name == "s1" {
					c.policy["by"], c.policy["every"] = "client", "200ms"
					cfg["policy"] = c.policy
				}
			}}
			w.build(false)
			w.agent("--patience", "20s")
			end := w.downloads(n, long)
			s1 := w.sites["s1"]
			left := func() int { return strings.Count(s1.scd.log.String(), "state=LEFT") }
			s1.await("sessions that leave", func() bool { return left() >= c.least })
			end()
			if left() > c.most {
				t.Errorf("%d have left", left())
			}
		})
	}
}

// Certificates outlive daemons, and go along with an address.
func TestCertificatesLast(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "20s")
	end := w.download(w.addr, long)
	a.flow()
	w.move() // the address, to s2
	for i := range 4 {
		w.only() // nobody else has its socket until its process has
		for _, s := range w.sites {
			s.scd.kill()
			s.startSCD()
		}
		w.only()
		l, to := a.flow(), own(i%2, false)
		w.sites["s1"].await("servers that know each other", func() bool {
			_, err := a.ask("move", "--to", to.String(), l.Flow)
			return err == nil
		})
	}
	end()
}

// Both daemons end when they are asked to.
func TestDaemonsEnd(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent()
	for _, p := range []*process{w.sites["s1"].scd, a.process} {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.died(t)
		if code := p.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
}

// mtcpd's configuration as a gateway is checked with line and column.
func TestGatewayFileIsChecked(t *testing.T) {
	path, err := mtcpd()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "--interface", "lo", "--gateway", writeFile(t, "listen: :1\nservers:\n  - name: s1\n    key: nonsense\n")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "4:") {
		t.Errorf("%v: %s", err, out)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
