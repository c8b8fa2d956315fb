// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/control"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/target"
	"lazystate/tools/testbed"
)

// victim is a machine of the lab with one process of the auction, and its keeper.
type victim struct {
	*testbed.Victim
	t      *testing.T
	target *backdoor.Target
}

var victimFence = backdoor.FenceOptions{Slot: 1, Key: uapi.Key{7}, Timeout: time.Second}

// kernels runs a test on both, in make soak: each boots a machine, and serves from it
// for a while.
func kernels(t *testing.T, f func(t *testing.T, kernel string)) {
	t.Helper()
	if !lab.Soak() {
		t.Skip("minutes: with LAZYSTATE_SOAK=1")
	}
	for _, kernel := range []string{"6.12", "6.1"} {
		t.Run(kernel, func(t *testing.T) { f(t, kernel) })
	}
}

// victim boots one on the site's network, with an address and perhaps more.
func (s *site) victim(kernel, addr string, more ...string) *victim {
	t := s.t
	t.Helper()
	vm := lab.New(t, lab.Config{Kernel: kernel, Net: s.cabled, NICs: []lab.NIC{{Addr: addr + "/24"}}})
	on, err := testbed.Arm(t.Context(), vm, armed.Keys{victimFence.Slot: victimFence.Key})
	v := &victim{Victim: on, t: t}
	v.must(err)
	if s.cabled == "" {
		s.cabled = vm.Config().Net
		v.must(lab.Cable(s.cabled, "br0", s.rig.Wire.Try))
	}
	for _, a := range more {
		v.must(v.Addr(t.Context(), a))
	}
	return v
}

func (v *victim) url() string { return "lab:" + v.Name() }

// monitored has the test be its monitor.
func (v *victim) monitored() {
	v.t.Helper()
	mem, err := target.Open(v.t.Context(), v.url(), target.Options{Writable: true})
	v.must(err)
	v.t.Cleanup(func() { mem.Close() })
	v.target, err = backdoor.Open(v.t.Context(), mem)
	v.must(err)
}

func (v *victim) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// auction starts its process.
func (v *victim) auction(args ...string) {
	v.t.Helper()
	_, err := v.Launch(v.t.Context(), "lazystate/examples/auction", args...)
	v.must(err)
}

// struck has a crowd ask while something happens to a machine, and what helps against it.
func (s *site) struck(strike, help func()) {
	s.t.Helper()
	s.sound(s.asked(s.crowd(8, "bidding", 1), rand.New(rand.NewPCG(1, 39)), func() { strike(); help() }))
}

// frontVictim is one at the address that clients know, and at work.
func (s *site) frontVictim(kernel string) *victim {
	s.t.Helper()
	s.fe[0].Unaddr(s.service.String())
	v := s.victim(kernel, "10.9.0.3", s.service.String())
	v.auction("front", "--keeper", testbed.VictimKeeper, "--listen", "0.0.0.0:"+servicePort, "--control", "0.0.0.0:"+controlPort, "--middle", middles)
	_ = s.browser().Close() // somebody listens
	return v
}

// The machine of a front end stands, with its kernel, and its sessions go on at fe2.
func TestFrontStands(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		s := sited(t)
		v := s.frontVictim(kernel)
		v.monitored()
		s.struck(func() { v.must(v.Stop(t.Context())) }, func() { s.frontRescued(v) })
	})
}

// frontRescued has its sessions go on at fe2.
func (s *site) frontRescued(v *victim) {
	s.t.Helper()
	report := s.rescuer.From(v.target, victimFence, s.service)
	s.t.Logf("%d sessions, %v", report.Saved(), report.Steps)
}

// middleRescued has mt2 go on with its requests.
func (s *site) middleRescued(v *victim) {
	s.t.Helper()
	v.must(stands(s.t.Context(), v.target, "", victimFence))
	s.rescue(v.target)
}

// middleVictim is one in mt1's place, and at work.
func (s *site) middleVictim(kernel string) *victim {
	s.t.Helper()
	s.mt[0].Die(netip.MustParsePrefix(middleAddrs[0] + "/24")) // nobody has asked it anything
	v := s.victim(kernel, middleAddrs[0])
	var l net.Listener
	s.client.Do(func() (err error) { l, err = net.Listen("tcp", "10.9.0.9:0"); return err })
	v.auction("middle", "--name", "mt1", "--keeper", testbed.VictimKeeper, "--listen", "0.0.0.0:"+middlePort, "--database", pgtest.RelayedAt(s.t, s.dsn, l).DSN)
	s.browserOf("mt1").do(new([]category), "categories")
	return v
}

// The machine of a middle tier stands, and mt2 goes on with its requests.
func TestMiddleStands(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		s := sited(t)
		v := s.middleVictim(kernel)
		v.monitored()
		s.struck(func() { v.must(v.Stop(t.Context())) }, func() { s.middleRescued(v) })
	})
}

// The kernel of a middle tier's machine panics; bdmon finds it dead, fences it, and runs
// what its healer names: mt2 goes on.
func TestMonitorRescues(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		s := sited(t)
		v := s.middleVictim(kernel)
		audit := s.bdmon(v)
		s.struck(func() { v.Panic(t.Context()) }, func() {
			s.until("the end of the incident", func() bool {
				b, err := os.ReadFile(audit)
				return err == nil && strings.Contains(string(b), `"result":"healed"`)
			})
		})
	})
}

// bdmon watches a victim, from the clients' machine; the file is its audit log.
func (s *site) bdmon(v *victim) (audit string) {
	t, dir := s.t, s.t.TempDir()
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	program := func(pkg string) string {
		bin, err := lab.Program(t.Context(), filepath.Base(pkg), pkg)
		v.must(err)
		return bin
	}
	argv := []string{program("lazystate/examples/auction"), "rescue", "--target", v.url(), "--dead", "mt1", "--adopt", "mt2=" + net.JoinHostPort(middleAddrs[1], middlePort)}
	for _, addr := range frontAddrs {
		argv = append(argv, "--front", net.JoinHostPort(addr, controlPort))
	}
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"socket": at("bdmon"), "metrics": "-", "audit": at("audit"),
		"targets": []any{map[string]any{
			"name": "mt1", "url": v.url(), "slot": victimFence.Slot, "key_file": at("key"), "repair": map[string]any{"coalesce": "1ms"},
			"healers": []any{map[string]any{"kind": "salvage", "sensors": []string{"panicked", "failed"}, "argv": argv}},
		}},
	})
	v.must(err)
	v.must(os.WriteFile(at("bdmon.yaml"), text, 0o600))
	v.must(os.WriteFile(at("key"), fmt.Appendf(nil, "%x\n", victimFence.Key[:]), 0o600))
	keepertest.GoOn(t, s.client.Try, exec.Command(program("lazystate/tools/bdmon"), "--config", at("bdmon.yaml")))
	s.until("bdmon's target", func() bool {
		var all []control.Target
		err := control.Ask(t.Context(), at("bdmon"), control.Request{Cmd: "targets"}, &all)
		return err == nil && len(all) == 1 && all[0].Up && all[0].Writable
	})
	return at("audit")
}
