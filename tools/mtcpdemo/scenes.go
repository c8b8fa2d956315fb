// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"lazystate/tools/control"
	"lazystate/tools/testbed"
)

// ways are those in which a client's sessions go elsewhere, told apart by its
// address.
var ways = map[string]netip.Addr{
	"client": netip.MustParseAddr("10.8.0.21"), "gateway": netip.MustParseAddr("10.8.0.22"), "takeover": netip.MustParseAddr("10.8.0.23"),
}

// patience is how long the demonstration waits for what must come.
const patience = time.Minute

func (d *demo) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of what still downloads
	// It may be 32 MB where the kernel is new: see kept.
	d.bed.Clients[0].Host.Sysctl("net/ipv4/tcp_rmem", "4096 131072 6291456")
	for _, a := range ways {
		d.bed.Clients[0].Host.Addr(a.String() + "/24")
	}
	webs, err := d.bed.Serve(ctx, "web", d.web()...)
	if err != nil {
		return err
	}
	for _, scene := range []func(context.Context) error{
		d.byAgent, d.byAddress, d.byGateway, func(ctx context.Context) error { return d.drained(ctx, webs[0]) },
	} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) web() []string {
	return []string{"--keeper", "KEEPER", "--listen", "0.0.0.0:PORT", "--root", d.root}
}

func (d *demo) byAgent(ctx context.Context) error {
	d.say("curl downloads from s1; its host's agent takes the connection to s2, s3 and back, other addresses all of them")
	s := d.bed.Sites
	x, err := d.get(ctx, "client", s[0].Addr)
	if err != nil {
		return err
	}
	for i := range s {
		pause()
		if err := d.hop(ctx, s[i], s[(i+1)%len(s)]); err != nil {
			return err
		}
	}
	end(x)
	return nil
}

func (d *demo) byAddress(ctx context.Context) error {
	d.say("curl downloads from an address that moves from s1 to s3 with its sessions; the client has no part in it")
	x, err := d.get(ctx, "takeover", netip.AddrPortFrom(testbed.Shared, testbed.Port))
	if err != nil {
		return err
	}
	pause()
	if err := d.send(ctx, d.bed.Sites[0], d.bed.Sites[2], control.Request{Cmd: "move", By: "takeover", Target: testbed.Shared.String()}, 1); err != nil {
		return err
	}
	end(x)
	return nil
}

func (d *demo) byGateway(ctx context.Context) error {
	d.say("curl downloads from s2; the router on its way sends it to s3 and back; the client has no part in it")
	from, to := d.bed.Sites[1], d.bed.Sites[2]
	x, err := d.get(ctx, "gateway", from.Addr)
	if err != nil {
		return err
	}
	for range 2 {
		pause()
		if err := d.send(ctx, from, to, control.Request{Cmd: "move", By: "gateway", Target: from.Addr.Addr().String()}, 1); err != nil {
			return err
		}
		from, to = to, from
	}
	end(x)
	return nil
}

// drained ends with kill -9 of the server that has all sessions then; they go on
// with its successor.
func (d *demo) drained(ctx context.Context, web *testbed.Process) error {
	n := d.c.Int("drained")
	d.say("%d clients download from s3, which is drained for maintenance: their agent is advised to go to s1", n)
	from, to := d.bed.Sites[2], d.bed.Sites[0]
	var all []*download
	for range n {
		x, err := d.get(ctx, "client", from.Addr)
		if err != nil {
			return err
		}
		all = append(all, x)
	}
	if err := d.send(ctx, from, to, control.Request{Cmd: "drain", By: "client"}, n); err != nil {
		return err
	}
	d.say("the web server of s1, which has them all now, is killed and started again")
	began := time.Now()
	web.Kill()
	if _, err := to.Serve(ctx, "web", d.web()...); err != nil {
		return err
	}
	d.done(act{What: "kill -9", Way: "keeper", From: to.Name, To: to.Name, Sessions: n}, began)
	end(all...)
	return nil
}

// pause lets curl download for a while.
func pause() { time.Sleep(700 * time.Millisecond) }

// done notes an act that began at a time.
func (d *demo) done(a act, began time.Time) {
	a.Ms = float64(time.Since(began).Microseconds()) / 1000
	d.Acts = append(d.Acts, a)
	d.say("  %s by %s from %s to %s: %d session(s) in %.1f ms", a.What, a.Way, a.From, a.To, a.Sessions, a.Ms)
}

// hop has the client's agent move its only connection that is open.
func (d *demo) hop(ctx context.Context, from, to *testbed.Site) error {
	c := d.bed.Clients[0]
	flow, err := d.flow(ctx, c, from)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.Move(ctx, flow, to.Addr); err != nil {
		return err
	}
	d.done(act{What: "move", Way: "client", From: from.Name, To: to.Name, Sessions: 1}, began)
	return nil
}

// flow waits until the agent knows of a connection that it can move.
func (d *demo) flow(ctx context.Context, c *testbed.Client, at *testbed.Site) (flow string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	none := testbed.Await(ctx, "a connection that can move", func() bool {
		var all []struct{ Flow, At string }
		if err = control.Ask(ctx, c.Socket(), control.Request{Cmd: "ls"}, &all); err != nil {
			return true
		}
		for _, l := range all {
			client, _, _ := strings.Cut(l.Flow, "-")
			if a, err := netip.ParseAddrPort(client); err == nil && a.Addr() == ways["client"] && l.At == at.Addr.String() {
				flow = l.Flow
			}
		}
		return flow != ""
	})
	if err == nil {
		err = none
	}
	return flow, err
}

// send has a server send n sessions away, as soon as it has them.
func (d *demo) send(ctx context.Context, from, to *testbed.Site, r control.Request, n int) error {
	settled, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := from.Settled(settled, n); err != nil {
		return err
	}
	r.To = to.Name
	began := time.Now()
	m, err := from.Away(ctx, r)
	if err != nil {
		return err
	}
	d.done(act{What: r.Cmd, Way: r.By, From: from.Name, To: to.Name, Sessions: m.Sessions}, began)
	return nil
}
