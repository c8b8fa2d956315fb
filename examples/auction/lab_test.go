// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/examples/outcome/pgtest"
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
	vm := lab.New(t, lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: addr + "/24"}}})
	on, err := testbed.Arm(t.Context(), vm, armed.Keys{victimFence.Slot: victimFence.Key})
	v := &victim{Victim: on, t: t}
	v.must(err)
	v.must(lab.Cable(vm.Config().Net, "br0", s.rig.Wire.Try))
	for _, a := range more {
		v.must(v.Addr(t.Context(), a))
	}
	mem, err := target.Open(t.Context(), "lab:"+vm.Name(), target.Options{Writable: true})
	v.must(err)
	t.Cleanup(func() { mem.Close() })
	v.target, err = backdoor.Open(t.Context(), mem)
	v.must(err)
	return v
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

// The machine of a front end stands, with its kernel, and its sessions go on at fe2.
func TestFrontStands(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		s := sited(t)
		s.fe[0].Unaddr(s.service.String())
		v := s.victim(kernel, "10.9.0.3", s.service.String())
		v.auction("front", "--keeper", testbed.VictimKeeper, "--listen", "0.0.0.0:"+servicePort, "--control", "0.0.0.0:"+controlPort, "--middle", middles)
		_ = s.browser().Close() // somebody listens
		s.struck(func() { v.must(v.Stop(t.Context())) }, func() {
			report := s.rescuer.From(v.target, victimFence, s.service)
			t.Logf("%d sessions, %v", report.Saved(), report.Steps)
		})
	})
}

// The machine of a middle tier stands, and mt2 goes on with its requests.
func TestMiddleStands(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		s := sited(t)
		s.mt[0].Die(netip.MustParsePrefix(middleAddrs[0] + "/24")) // nobody has asked it anything
		v := s.victim(kernel, middleAddrs[0])
		var l net.Listener
		s.client.Do(func() (err error) { l, err = net.Listen("tcp", "10.9.0.9:0"); return err })
		v.auction("middle", "--name", "mt1", "--keeper", testbed.VictimKeeper, "--listen", "0.0.0.0:"+middlePort, "--database", pgtest.RelayedAt(t, s.dsn, l).DSN)
		s.browserOf("mt1").do(new([]category), "categories")
		s.struck(func() { v.must(v.Stop(t.Context())) }, func() {
			v.must(stands(t.Context(), v.target, "", victimFence))
			s.rescue(v.target)
		})
	})
}
