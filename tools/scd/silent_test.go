// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"strings"
	"testing"
)

// S2 has the session and cannot be heard, for so long that the client gives it up and is
// back with S1, which has let go of it. S1 says where it is, and the client waits there
// once more, until S2 can be heard: every byte arrives once, also of a client whose TCP
// has gone on repeating what nobody has acknowledged. So it is when its agent dies over
// that.
func TestSilentServerIsFound(t *testing.T) {
	for _, c := range []struct{ what, step string }{
		{"idle", ""}, {"upload", ""}, {"upload", "after seek"}, {"idle", "before follow"}, {"upload", "after follow"},
	} {
		t.Run(c.what+" "+c.step, func(t *testing.T) { silentServerIsFound(t, c.what == "upload", c.step) })
	}
}

func silentServerIsFound(t *testing.T, uploads bool, step string) {
	w := newWorld(t, false)
	path, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"MTCPD_ROLE=mtcpd", "MTCPD_HOLDS=10"} // it waits for twelve seconds
	a := w.agentOf(path, append(env, "MTCPD_KILL="+step), "--patience", "2s", "--pin", bpffs(t))
	w.addr = own(0, false).Addr()
	finish := w.uploadsOrIdles(uploads)
	l, s1, s2 := a.flow(), w.sites["s1"], w.sites["s2"]
	w.rig.Wire.Do(func() error { return mute("s2") })
	s1.await("the session's end", func() bool {
		if err := a.move(l, own(1, false)); err == nil {
			t.Fatal("it has heard S2")
		}
		return len(s1.ls()) == 0
	})
	if step != "" {
		a.died(t)
		a.env = env
		a.start()
	}
	s1.await("the client's question", func() bool { return strings.Contains(s1.scd.log.String(), "asks where its session is") })
	s1.await("S1's answer", func() bool {
		all := a.connections()
		return strings.Contains(a.log.String(), "a session is with the server that was silent") || len(all) == 1 && all[0].Moving
	})
	w.rig.Wire.Do(unmute)
	s1.await("S2", func() bool {
		all := a.connections()
		if len(all) != 1 {
			t.Fatalf("%d connections are left of one", len(all))
		}
		return all[0].At == own(1, false).String() && !all[0].Moving
	})
	s1.await("its way back", func() bool { return a.move(a.flow(), own(0, false)) == nil })
	finish()
	s1.await("the end", s1.served)
	if s2.served() {
		t.Error("both have served it")
	}
}

// The network is down for longer than a client waits for S2: there is no way back to S1 when
// it gives S2 up either. It finds both when the network is up again.
func TestSilentServerAndNoWayBack(t *testing.T) {
	w := newWorld(t, false)
	path, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	a := w.agentOf(path, []string{"MTCPD_ROLE=mtcpd", "MTCPD_HOLDS=10"}, "--patience", "2s")
	w.addr = own(0, false).Addr()
	finish := w.idle()
	l, s1, s2 := a.flow(), w.sites["s1"], w.sites["s2"]
	w.rig.Wire.Do(func() error { return mute("s2") })
	moved := a.movesInVain(l, own(1, false))
	s2.await("the session", func() bool { return len(s2.ls()) == 1 })
	w.client.Unaddr("10.9.0.9/24")
	s1.await("that there is no way", func() bool { return strings.Contains(a.log.String(), "a connection cannot go back") })
	if err := <-moved; err == nil {
		t.Error("it has heard S2")
	}
	w.client.Addr("10.9.0.9/24")
	s1.await("the client's question", func() bool { return strings.Contains(s1.scd.log.String(), "asks where its session is") })
	w.rig.Wire.Do(unmute)
	s1.await("S2", func() bool {
		all := a.connections()
		return len(all) == 1 && all[0].At == own(1, false).String() && !all[0].Moving
	})
	finish()
	s2.await("the end", s2.served)
}

// movesInVain tries until a server has the client's word, and is not heard.
func (a *agent) movesInVain(l line, to netip.AddrPort) <-chan error {
	moved := make(chan error, 1)
	go func() {
		err := a.move(l, to)
		for err != nil && strings.Contains(err.Error(), "no answer") { // a slow machine
			err = a.move(l, to)
		}
		moved <- err
	}()
	return moved
}

// S1's daemon dies when it has let go of the session, before its client has given S2 up and
// asks: the next daemon says where the session is, and is as silent to what the client's TCP
// repeats meanwhile as the one before.
func TestSilentServerIsFoundByTheNextDaemon(t *testing.T) {
	for _, what := range []string{"idle", "upload"} {
		t.Run(what, func(t *testing.T) { foundByTheNextDaemon(t, what == "upload") })
	}
}

// uploadsOrIdles is one session of a client's that sends all the time, or not at all.
func (w *world) uploadsOrIdles(uploads bool) (finish func()) {
	if uploads {
		return w.upload(w.addr, long)
	}
	return w.idle()
}

func foundByTheNextDaemon(t *testing.T, uploads bool) {
	w := newWorld(t, false)
	path, err := mortal()
	if err != nil {
		t.Fatal(err)
	}
	a := w.agentOf(path, []string{"MTCPD_ROLE=mtcpd", "MTCPD_HOLDS=10"}, "--patience", "2s")
	w.addr = own(0, false).Addr()
	finish := w.uploadsOrIdles(uploads)
	l, s1, s2 := a.flow(), w.sites["s1"], w.sites["s2"]
	w.rig.Wire.Do(func() error { return mute("s2") })
	moved := a.movesInVain(l, own(1, false))
	s1.await("the session's end", func() bool { return len(s1.ls()) == 0 && len(s2.ls()) == 1 })
	s1.scd.kill()
	s1.startSCD()
	if err := <-moved; err == nil {
		t.Error("it has heard S2")
	}
	s1.await("the client's question", func() bool { return strings.Contains(s1.scd.log.String(), "asks where its session is") })
	w.rig.Wire.Do(unmute)
	s1.await("S2", func() bool {
		all := a.connections()
		if len(all) != 1 {
			t.Fatalf("%d connections are left of one", len(all))
		}
		return all[0].At == own(1, false).String() && !all[0].Moving
	})
	finish()
	s2.await("the end", s2.served)
}
