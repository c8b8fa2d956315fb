// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/netrig"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/control"
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

// doomed is a world whose s1 is to die; s2's daemon is to carry its sessions out.
type doomed struct {
	*world
	ram string // what is left of s1
	k   *keeper.Keeper
	key uapi.Key
}

func newDoomed(t *testing.T) *doomed {
	t.Helper()
	d := &doomed{ram: filepath.Join(t.TempDir(), "ram"), key: uapi.Key{1, 2, 3}}
	d.world = &world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
		if s.name == "s2" {
			cfg["salvage"] = []any{map[string]any{"name": "s1", "url": "inic://" + d.ram, "device": netrig.Dev, "addresses": []string{"10.9.0.100/24"}, "policy": "minimal"}}
		}
	}}
	d.build(false)
	d.k = d.sites["s1"].keeps()
	return d
}

// dies has what s1's kernel had become the memory of a machine that stands still.
func (d *doomed) dies() *bdtest.Target {
	t, s1 := d.t, d.sites["s1"]
	t.Helper()
	members, values := extracttest.Manifest("6.12")
	machine := bdtest.New(bdtest.WithBacking(bdtest.MapFile(t, d.ram, 256<<20), bdtest.MapFile(t, filepath.Join(filepath.Dir(d.ram), "bar"), 4096)),
		bdtest.WithManifest(members, values), bdtest.WithBoxes(8, 8*32), bdtest.WithFence(), bdtest.WithKey(0, d.key))
	var stack *tcprepair.Stack
	s1.Do(func() (err error) { stack, err = tcprepair.Open(); return err })
	defer stack.Close()
	frozen, err := extracttest.Dig(machine, "6.12").All(d.k, stack, nil)
	if err != nil {
		t.Fatal(err)
	}
	s1.Unaddr("10.9.0.100/24")
	for _, f := range frozen {
		if err := f.Discard(); err != nil {
			t.Fatal(err)
		}
	}
	return machine
}

func (d *doomed) fence(m *bdtest.Target) {
	d.t.Helper()
	target, err := backdoor.Open(d.t.Context(), m.Memory())
	if err == nil {
		err = target.Fence(d.t.Context(), backdoor.FenceOptions{Key: d.key})
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// A machine is dead with a download and a request of which half has come in its
// memory. Once it is fenced the other server's daemon has both go on, and says the
// same when it is asked again.
func TestSalvage(t *testing.T) {
	w := newDoomed(t)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	end, finish := w.download(w.addr, long), w.idle()
	s1.await("both", func() bool { return len(w.k.Sessions()) == 2 })
	machine := w.dies()

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
