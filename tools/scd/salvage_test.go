// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/netrig"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/control"
	"lazystate/tools/lab"
)

// keeps is a keeper in s1's place, of which the test can look at the sockets.
func (s *site) keeps() *keeper.Keeper {
	s.t.Helper()
	s.scd.kill()
	s.web.kill()
	if err := os.Remove(s.path("servers")); err != nil {
		s.t.Fatal(err)
	}
	k := keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)})
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.path("servers"), Net: "unixpacket"})
	if err != nil {
		s.t.Fatal(err)
	}
	go k.Serve(l)
	s.t.Cleanup(func() { l.Close(); k.Close() })
	s.startWeb()
	return k
}

// salvaged asks s2's daemon; the steps are left out.
func (s *site) salvaged(args ...string) (all []control.Salvaged, err error) {
	out, err := s.ask(append([]string{"salvage"}, args...)...)
	for dec := json.NewDecoder(bytes.NewReader([]byte(out))); err == nil && dec.More(); {
		var line control.Salvaged
		if err = dec.Decode(&line); line.Step == "" {
			all = append(all, line)
		}
	}
	return all, err
}

// deadly is a world in which s1 can die, and s2 salvage what it had.
type deadly struct {
	*world
	dir    string
	s1, s2 *site
	k      *keeper.Keeper // s1's
}

var fenceKey = uapi.Key{1, 2, 3}

// newDeadly has s2's configuration say more, too.
func newDeadly(t *testing.T, more map[string]any) *deadly { return newDeadlyBy(t, nil, more) }

// newDeadlyBy has it say more of s1's salvage as well.
func newDeadlyBy(t *testing.T, how, more map[string]any) *deadly {
	d := &deadly{dir: t.TempDir()}
	d.world = &world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
		if s.name == "s2" {
			victim := map[string]any{"name": "s1", "url": "inic://" + filepath.Join(d.dir, "ram"), "device": netrig.Dev, "addresses": []string{"10.9.0.100/24"}, "policy": "minimal"}
			maps.Copy(victim, how)
			cfg["salvage"] = []any{victim}
			maps.Copy(cfg, more)
		}
	}}
	d.build(false)
	d.s1, d.s2 = d.sites["s1"], d.sites["s2"]
	d.k = d.s1.keeps()
	return d
}

// dies has s1 die with so many sessions in its memory, of which its machine is returned.
func (d *deadly) dies(sessions int) *bdtest.Target {
	t := d.t
	t.Helper()
	d.s1.await("all sessions", func() bool { return len(d.k.Sessions()) == sessions })
	members, values := extracttest.Manifest("6.12")
	machine := bdtest.New(bdtest.WithBacking(bdtest.MapFile(t, filepath.Join(d.dir, "ram"), 256<<20), bdtest.MapFile(t, filepath.Join(d.dir, "bar"), 4096)),
		bdtest.WithManifest(members, values), bdtest.WithBoxes(8, 8*32), bdtest.WithFence(), bdtest.WithKey(0, fenceKey))
	var stack *tcprepair.Stack
	d.s1.Do(func() (err error) { stack, err = tcprepair.Open(); return err })
	defer stack.Close()
	frozen, err := extracttest.Dig(machine, "6.12").All(d.k, stack, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.s1.Unaddr("10.9.0.100/24")
	for _, f := range frozen {
		if err := f.Discard(); err != nil {
			t.Fatal(err)
		}
	}
	return machine
}

func (d *deadly) fence(machine *bdtest.Target) {
	d.t.Helper()
	d.fenceFor(machine, backdoor.FenceOptions{})
}

// fenceFor says whose its sessions are.
func (d *deadly) fenceFor(machine *bdtest.Target, o backdoor.FenceOptions) {
	d.t.Helper()
	target, err := backdoor.Open(d.t.Context(), machine.Memory())
	if err == nil {
		o.Key = fenceKey
		err = target.Fence(d.t.Context(), o)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// A machine is dead with a download and a request of which half has come in its
// memory. Once it is fenced the other server's daemon has both go on, and says the
// same when it is asked again.
func TestSalvage(t *testing.T) {
	w := newDeadly(t, nil)
	s2 := w.s2
	end, finish := w.download(w.addr, long), w.idle()
	machine := w.dies(2)

	for what, c := range map[string]struct{ machine, want string }{
		"not fenced": {"s1", "it is not fenced"},
		"unknown":    {"s9", "no machine"},
	} {
		if _, err := s2.salvaged(c.machine); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.fence(machine)
	dry, err := s2.salvaged("--dry-run", "s1")
	if err != nil || len(dry) != 2 || !dry[0].Would || !dry[1].Would || w.has("s2") || len(s2.ls()) != 0 {
		t.Fatalf("dry run: %v, %v", dry, err)
	}
	all, err := s2.salvaged("s1")
	if err != nil || len(all) != 2 || !w.has("s2") {
		t.Fatalf("%v, %v", all, err)
	}
	again, err := s2.salvaged("s1")
	if err != nil || fmt.Sprint(again) != fmt.Sprint(all) {
		t.Errorf("asked again: %v, %v", again, err)
	}
	finish()
	end()
	s2.await("the end", func() bool { return len(s2.ls()) == 0 })
	for _, line := range all {
		if line.Service != "web" || time.Duration(line.AfterUs) <= 0 {
			t.Errorf("%+v", line)
		}
	}
}

// Recovery that does not involve the client, as in §3.6.5, by configuration.
func TestSalvageNotAsking(t *testing.T) {
	w := newDeadlyBy(t, map[string]any{"not_asking": true}, nil)
	s2, finish := w.s2, w.idle()
	w.fence(w.dies(1))
	all, err := s2.salvaged("s1")
	if err != nil || len(all) != 1 || all[0].Asked {
		t.Fatalf("%v, %v", all, err)
	}
	finish()
	s2.await("the end", func() bool { return len(s2.ls()) == 0 })
}

// The sessions of a machine were given to another recovery node: this one takes nothing
// over, whatever it is called, until whoever fences again says that the other one is fenced.
func TestSalvageOfAnothers(t *testing.T) {
	w := newDeadly(t, nil)
	s2, finish := w.s2, w.idle()
	machine := w.dies(1)
	one, two := backdoor.HeirOf("rn1"), backdoor.HeirOf("rn2")
	refused := func(args ...string) {
		t.Helper()
		if _, err := s2.salvaged(args...); err == nil || !strings.Contains(err.Error(), "were given to recovery node") || w.has("s2") || len(s2.ls()) != 0 {
			t.Errorf("%q: %v, the address is here: %v", args, err, w.has("s2"))
		}
	}
	w.fenceFor(machine, backdoor.FenceOptions{Heir: one})
	refused("s1")
	refused("--as", "rn2", "s1")
	w.fenceFor(machine, backdoor.FenceOptions{Heir: two, Supersedes: one})
	refused("--as", "rn1", "s1")
	if all, err := s2.salvaged("--as", "rn2", "s1"); err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	finish()
	s2.await("the end", func() bool { return len(s2.ls()) == 0 })
}

// Kill -9 of the daemon at a step of a salvage; it is started again and asked again.
// What clients say meanwhile, and before the machine's memory is read for the second
// time, is answered by nobody, least of all by a reset: they go on where they were. When
// it is done nothing is held any more, and what was pinned for that is gone with the daemon.
func TestKilledOverSalvage(t *testing.T) {
	for _, step := range []string{
		"fenced", "flows held", "addresses taken", "addresses announced", "state read", "restored", "entrusted", "let in", "alive", "thawed", "adopted", "sessions live",
	} {
		t.Run(step, func(t *testing.T) {
			if err := steer.Probe(); err != nil {
				lab.Skip(t, err.Error())
			}
			pin := bpffs(t)
			w := newDeadly(t, map[string]any{"pin": pin})
			s2 := w.s2
			s2.killedAt(step)
			end, client := w.download(w.addr, long), w.hesitates()
			w.fence(w.dies(2))
			asked := make(chan error, 1)
			go func() { _, err := s2.salvaged("s1"); asked <- err }()
			s2.scd.died(t)
			t.Logf("the salvage: %v", <-asked)
			client.say(3)
			time.Sleep(100 * time.Millisecond) // a reset would be there
			s2.startSCD()
			all, err := s2.salvaged("s1")
			if err != nil || len(all) != 2 {
				t.Fatalf("%v, %v", all, err)
			}
			client.finish()
			end()
			s2.await("the end", func() bool { return len(s2.ls()) == 0 })
			if err := s2.scd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s2.scd.died(t)
			if _, err := os.Stat(pin); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", pin, err)
			}
		})
	}
}
