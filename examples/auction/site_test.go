// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/examples/mortal"
	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/netrig"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/lab"
)

// site is an auction on four machines, with clients on a fifth (§3.9.4).
type site struct {
	t       *testing.T
	dsn     string
	rig     *netrig.Rig
	client  *netrig.Host
	fe, mt  [2]*mortal.Machine
	rescuer *mortal.Rescuer // at fe[1]
	service netip.Prefix    // the address of fe[0] that clients know
	middle  [2][]string     // how its processes are started
	told    []string        // where front ends that live are told things
	procs   [2]*keepertest.Process
	cabled  string // network of the lab's machines, once there is one
}

const (
	servicePort = "8000"
	controlPort = "8001"
	middlePort  = "9000"

	connections = 4 // of a middle tier to the database, beside the one that is apart
)

var (
	frontAddrs  = [2]string{"10.9.0.1", "10.9.0.2"}
	middleAddrs = [2]string{"10.9.0.11", "10.9.0.12"}
)

const middles = "mt1=10.9.0.11:" + middlePort + ",mt2=10.9.0.12:" + middlePort

// sited has the site run; env is of the machines that are to die.
func sited(t *testing.T, env ...string) *site {
	t.Helper()
	return sitedEach(t, [2][]string{env, nil})
}

// sitedEach has one environment for the first machine of each tier and one for the
// second. PostgreSQL is not told when the first die.
func sitedEach(t *testing.T, env [2][]string) *site {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	s := &site{t: t, dsn: pgtest.New(t, schema+stock), service: netip.MustParsePrefix("10.9.0.100/24")}
	r := netrig.New(t, "client", "fe1", "fe2", "mt1", "mt2")
	s.rig, s.client = r, r.Host("client")
	s.client.Addr("10.9.0.9/24")
	for i := range 2 {
		s.fe[i] = mortal.New(t, r.Host(fmt.Sprintf("fe%d", i+1)))
		s.fe[i].Addr(frontAddrs[i] + "/24")
		s.mt[i] = mortal.New(t, r.Host(fmt.Sprintf("mt%d", i+1)))
		s.mt[i].Addr(middleAddrs[i] + "/24")
	}
	s.fe[0].Addr(s.service.String())
	far := [2]string{pgtest.Relayed(t, s.dsn, false).DSN, s.dsn}
	for i, m := range s.mt {
		s.middle[i] = []string{"middle", "--name", m.Name, "--keeper", m.Socket, "--listen", "0.0.0.0:" + middlePort, "--database", far[i], "--connections", fmt.Sprint(connections)}
		s.procs[i] = m.Run(env[i], s.middle[i]...)
	}
	for i, m := range s.fe {
		s.told = append(s.told, net.JoinHostPort(frontAddrs[i], controlPort))
		m.Run(env[i], "front", "--keeper", m.Socket, "--listen", "0.0.0.0:"+servicePort, "--control", "0.0.0.0:"+controlPort,
			"--middle", middles, "--notes", filepath.Join(t.TempDir(), "notes"))
	}
	s.rescuer = s.fe[1].Rescuer()
	s.up()
	return s
}

// up waits until everybody listens: nobody could take another's place before.
func (s *site) up() {
	s.t.Helper()
	for i := range 2 {
		for _, at := range []string{net.JoinHostPort(frontAddrs[i], servicePort), net.JoinHostPort(frontAddrs[i], controlPort), net.JoinHostPort(middleAddrs[i], middlePort)} {
			s.client.Do(func() error { return dial(s.t, at).Close() })
		}
	}
}

// browser connects to the address that clients know.
func (s *site) browser() *browser {
	s.t.Helper()
	var b *browser
	s.client.Do(func() error {
		b = dial(s.t, net.JoinHostPort(s.service.Addr().String(), servicePort))
		return nil
	})
	return b
}

// browserOf is one whose requests go to a middle tier.
func (s *site) browserOf(middle string) *browser {
	s.t.Helper()
	return browserOf(s.t, middles, middle, s.browser)
}

// browserOf connects until requests go to a middle tier of these.
func browserOf(t *testing.T, nodes, middle string, connect func() *browser) *browser {
	t.Helper()
	tier := tierOf(t, nodes, "")
	for {
		b := connect()
		if n, _ := tier.of(b.session()); n.name == middle {
			return b
		}
		_ = b.Close()
	}
}

// frontDies is the end of fe1, and its sessions go on at fe2.
func (s *site) frontDies() {
	s.t.Helper()
	s.told = s.told[1:] // a monitor that asked the other one would wait
	report := s.rescuer.Salvage(s.fe[0].Die(s.service, netip.MustParsePrefix(frontAddrs[0]+"/24")), s.service)
	for _, o := range report.Sessions {
		if o.Err != nil {
			s.t.Errorf("the session of %s is lost: %v", o.Remote, o.Err)
		}
	}
	s.t.Logf("fe1: %d sessions, %v, %d batches", report.Saved(), report.Steps, report.Batches)
}

// middleDies is the end of mt1; back has mt2 go on with its requests.
func (s *site) middleDies() (back func()) {
	s.t.Helper()
	dead := s.mt[0].Die(netip.MustParsePrefix(middleAddrs[0] + "/24"))
	return func() {
		s.t.Helper()
		s.rescue(dead.Fenced())
	}
}

// rescue has mt2 go on with what mt1's memory has.
func (s *site) rescue(target *backdoor.Target) {
	s.t.Helper()
	if err := s.monitor().run(s.t.Context(), target); err != nil {
		s.t.Fatal(err)
	}
}

// monitor is what has mt2 go on.
func (s *site) monitor() *rescue {
	s.t.Helper()
	nodes, err := nodesOf(middles)
	if err != nil {
		s.t.Fatal(err)
	}
	return &rescue{dead: "mt1", adopts: nodes[1], fronts: s.told, dial: s.dial, out: io.Discard, log: slog.New(slog.DiscardHandler), began: time.Now()}
}

// dial is from the clients' machine, where a monitor may be, too.
func (s *site) dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = s.client.Try(func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// waiting has processes wait where the environment says.
func waiting(t *testing.T, points ...string) (env, files []string) {
	t.Helper()
	for _, p := range points {
		files = append(files, filepath.Join(t.TempDir(), "there"))
		env = append(env, keepertest.WaitAt+"="+p+":"+files[len(files)-1])
	}
	return env, files
}
