// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/internal/cli"
	"lazystate/internal/netrig"
	"lazystate/tools/lab"
	"lazystate/tools/lab/link"
)

// spread is a run of three nodes on hosts whose networks are their own.
type spread struct {
	t    *testing.T
	rig  *netrig.Rig
	args []string
	log  string // which host each life of a node was on
	want string // the result
}

func newSpread(t *testing.T) *spread {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	names := []string{"n0", "n1", "n2", "n3"}
	s := &spread{t: t, rig: netrig.New(t, names...)}
	_, s.want, _ = try(t, slices.Concat([]string{"-n", "3"}, program("count"))...)
	s.args = []string{"-n", "3", "--tcp", "--every", "1ms", "--dir", filepath.Join(t.TempDir(), "run")}
	which := "case $host in\n"
	for i, name := range names {
		ip := fmt.Sprintf("10.9.0.%d", i+1)
		s.rig.Host(name).Addr(ip + "/24")
		which += fmt.Sprintf("%s) net=%s;;\n", ip, s.rig.Host(name).Path())
		s.args = append(s.args, "--host", ip)
	}
	ssh, log := fakeSSH(t, which+"esac", "nsenter --net=$net sh")
	s.args, s.log = append(s.args, "--ssh", ssh), log
	return s
}

// behind puts a host behind a cable.
func (s *spread) behind(host string, f link.Faults) *link.Link {
	s.t.Helper()
	const far = "br1"
	s.rig.Apart(host, far)
	wire, err := link.Open(link.Options{In: s.rig.Wire.Try, Near: "br0", Far: far, Seed: 7})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = wire.Close() })
	set(s.t, wire, f)
	return wire
}

func set(t *testing.T, wire *link.Link, f link.Faults) {
	t.Helper()
	if err := wire.Set(f); err != nil {
		t.Error(err)
	}
}

// run wants the result that there is on one host, and returns what was said.
func (s *spread) run(more ...string) (said string) {
	s.t.Helper()
	code, out, errs := try(s.t, slices.Concat(s.args, more, program("count"))...)
	if code != cli.OK || out != s.want {
		s.t.Errorf("exit %d, %q, not %q\n%s", code, out, s.want, errs)
	}
	return errs
}

// recovers wants node 2 to have been killed, and to have gone on on another host, with
// another address, by what lies in the folder that both reach.
func (s *spread) recovers() {
	s.t.Helper()
	said := s.run("--kill", "2@33")
	if hosts := hostsOf(s.t, s.log); len(hosts) != 4 || hosts[3] != "10.9.0.4" {
		s.t.Errorf("nodes were on %v", hosts)
	}
	if !strings.Contains(said, "msg=recovers") {
		s.t.Errorf("nobody tells of a recovery:\n%s", said)
	}
}

func TestNamespaces(t *testing.T) { newSpread(t).recovers() }

// So it does while the cable of another node, or its own new one, loses, doubles and
// reorders, or is slow.
func TestBadNetwork(t *testing.T) {
	for what, f := range map[string]link.Faults{
		"lossy": {Loss: 0.03, Duplicate: 0.05, Reorder: 0.1}, "slow": {Delay: 2 * time.Millisecond, Rate: 4 << 20},
	} {
		for _, host := range []string{"n1", "n3"} {
			t.Run(what+", "+host, func(t *testing.T) {
				s := newSpread(t)
				wire := s.behind(host, f)
				s.recovers()
				if st := wire.Stats(); st.Frames == 0 || f.Loss > 0 && st.Lost == 0 {
					t.Errorf("nothing has befallen it: %+v", st)
				}
			})
		}
	}
}

// A node is cut off in the midst, for longer than anybody is silent, or not. Either way
// the run goes on when its cable is whole again, with the same result; in the first case
// it is said meanwhile who is lost.
func TestPartition(t *testing.T) {
	const cut = 2 * time.Second
	for _, silence := range []time.Duration{cut / 4, 10 * cut} {
		t.Run(silence.String(), func(t *testing.T) {
			s := newSpread(t)
			slow := link.Faults{Delay: 5 * time.Millisecond} // so that the run takes a while
			wire := s.behind("n1", slow)
			healed := make(chan struct{})
			go func() {
				for wire.Stats().Frames < 300 && t.Context().Err() == nil { // it has begun
					time.Sleep(time.Millisecond)
				}
				set(t, wire, link.Faults{Cut: true})
				time.Sleep(cut)
				close(healed)
				set(t, wire, slow)
			}()
			said := s.run("--silence", silence.String())
			select {
			case <-healed:
			default:
				t.Error("the run was over before its cable was whole")
			}
			if lost := strings.Contains(said, "a node is lost"); lost != (silence < cut) {
				t.Errorf("lost: %v\n%s", lost, said)
			}
		})
	}
}
