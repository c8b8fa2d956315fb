// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/control"
)

// ways are those in which a client's sessions go elsewhere, told apart by its
// address.
var ways = map[string]struct{ client netip.Addr }{
	"client": {netip.MustParseAddr("10.8.0.21")}, "gateway": {netip.MustParseAddr("10.8.0.22")}, "takeover": {netip.MustParseAddr("10.8.0.23")},
}

// act is one line of the table.
type act struct {
	What     string  `json:"what"`
	Way      string  `json:"way"`
	From     string  `json:"from"`
	To       string  `json:"to"`
	Sessions int     `json:"sessions"`
	Ms       float64 `json:"ms"`
}

type report struct {
	Acts      []act       `json:"acts"`
	Downloads []*download `json:"downloads"`
}

func show(c *ucli.Context) (err error) {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	if err := errors.Join(netrig.Usable(), steer.Probe()); err != nil {
		return err
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return err
	}
	s := &stage{frame: &frame{}, bin: c.String("bin")}
	if s.bin == "" {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		s.bin = filepath.Dir(exe)
	}
	if s.dir, err = os.MkdirTemp("", "mtcpdemo"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	defer s.end()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			panic(r)
		}
	}()
	d := &demo{stage: s, c: c, out: c.App.Writer}
	if c.Bool("json") {
		d.out = io.Discard
	}
	d.play(c.Context)
	if c.Bool("json") {
		return errors.Join(json.NewEncoder(c.App.Writer).Encode(d.report), d.judge())
	}
	return errors.Join(d.table(), d.judge())
}

// demo is the play.
type demo struct {
	*stage
	c   *ucli.Context
	out io.Writer
	report
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) play(ctx context.Context) {
	d.makeFile()
	d.build(ctx)
	rate := d.c.Int("rate")
	get := func(way string, from netip.AddrPort) *download {
		x := d.curl(ctx, ways[way].client, from, rate)
		d.Downloads = append(d.Downloads, x)
		return x
	}
	s1, s2, s3 := d.servers[0], d.servers[1], d.servers[2]

	d.say("curl downloads from s1; its host's agent takes the connection to s2, s3 and back, other addresses all of them")
	x := get("client", s1.at())
	for _, to := range []*server{s2, s3, s1} {
		d.pause()
		d.byAgent(ctx, to)
	}
	<-x.finished

	d.say("curl downloads from an address that moves from s1 to s3 with its sessions; the client has no part in it")
	x = get("takeover", netip.AddrPortFrom(shared, port))
	d.pause()
	d.byServer(ctx, s1, s3, "move", "takeover", shared.String(), x)
	<-x.finished

	d.say("curl downloads from s2; the router on its way sends it to s3 and back; the client has no part in it")
	x = get("gateway", s2.at())
	d.pause()
	d.byServer(ctx, s2, s3, "move", "gateway", s2.addr.String(), x)
	d.pause()
	d.byServer(ctx, s3, s2, "move", "gateway", s3.addr.String(), x)
	<-x.finished

	n := d.c.Int("drained")
	d.say("%d clients download from s3, which is drained for maintenance: their agent is advised to go to s1", n)
	var all []*download
	for range n {
		all = append(all, get("client", s3.at()))
	}
	d.await(ctx, "all sessions", func() bool { return d.sessions(ctx, s3) == n })
	d.byServer(ctx, s3, s1, "drain", "client", "", all...)
	d.say("the web server of s1, which has them all now, is killed and started again")
	d.killWeb(ctx, s1, n)
	for _, x := range all {
		<-x.finished
	}
}

// pause lets curl download for a while.
func (d *demo) pause() { time.Sleep(700 * time.Millisecond) }

func (d *demo) makeFile() {
	f, err := os.Create(filepath.Join(d.folder("www"), "file"))
	d.must(err)
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, sum), rand.Reader, int64(d.c.Int("size"))<<20)
	d.must(errors.Join(err, f.Close()))
	d.file = hex.EncodeToString(sum.Sum(nil))
}

func (d *demo) sessions(ctx context.Context, v *server) int {
	var all []json.RawMessage
	d.must(control.Ask(ctx, v.path("control"), control.Request{Cmd: "ls"}, &all))
	return len(all)
}

// done notes an act that began at a time.
func (d *demo) done(a act, began time.Time) {
	a.Ms = float64(time.Since(began).Microseconds()) / 1000
	d.Acts = append(d.Acts, a)
	d.say("  %s by %s from %s to %s: %d session(s) in %.1f ms", a.What, a.Way, a.From, a.To, a.Sessions, a.Ms)
}

// byAgent has the client's agent move its only connection that is open.
func (d *demo) byAgent(ctx context.Context, to *server) {
	var flow, at string
	d.await(ctx, "a connection that can move", func() bool {
		var all []struct{ Flow, At string }
		d.must(control.Ask(ctx, d.path("agent"), control.Request{Cmd: "ls"}, &all))
		flow = ""
		for _, l := range all {
			client, _, _ := strings.Cut(l.Flow, "-")
			if a, err := netip.ParseAddrPort(client); err == nil && a.Addr() == ways["client"].client {
				flow, at = l.Flow, l.At
			}
		}
		return flow != ""
	})
	began := time.Now()
	d.must(control.Ask(ctx, d.path("agent"), control.Request{Cmd: "move", Target: flow, To: to.at().String()}, nil))
	d.done(act{What: "move", Way: "client", From: d.name(at), To: to.Name, Sessions: 1}, began)
}

func (d *demo) name(at string) string {
	for _, v := range d.servers {
		if v.at().String() == at {
			return v.Name
		}
	}
	return at
}

// byServer has a server send sessions away.
func (d *demo) byServer(ctx context.Context, from, to *server, what, way, target string, all ...*download) {
	d.await(ctx, "the sessions of "+from.Name, func() bool { return d.sessions(ctx, from) >= len(all) })
	began, n := time.Now(), 0
	ctl, err := control.Dial(ctx, from.path("control"))
	d.must(err)
	defer ctl.Close()
	over := errors.New("no more answers")
	err = ctl.Stream(control.Request{Cmd: what, Target: target, To: to.Name, By: way}, func(raw json.RawMessage) error {
		var l struct {
			Sessions int
			Step     string
			End      bool
		}
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		if l.End {
			return over
		}
		if l.Step == "" {
			n += l.Sessions
		}
		return nil
	})
	if !errors.Is(err, over) {
		d.must(fmt.Errorf("%s of %s: %w", what, from.Name, err))
	}
	d.done(act{What: what, Way: way, From: from.Name, To: to.Name, Sessions: n}, began)
}

// killWeb is kill -9 of a web server; what it served goes on with its successor.
func (d *demo) killWeb(ctx context.Context, v *server, n int) {
	began := time.Now()
	d.must(v.web.Process.Kill())
	d.startWeb(ctx, v)
	d.done(act{What: "kill -9", Way: "keeper", From: v.Name, To: v.Name, Sessions: n}, began)
}

func (d *demo) table() error {
	fmt.Fprintln(d.out)
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tBY\tFROM\tTO\tSESSIONS\tMS")
	for _, a := range d.Acts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%.1f\n", a.What, a.Way, a.From, a.To, a.Sessions, a.Ms)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	fmt.Fprintln(w, "CURL AT\tFROM\tBYTES\tTHE FILE\tLONGEST PAUSE MS\tSECONDS")
	for _, x := range d.Downloads {
		right := "yes"
		if !x.Right || x.Error != "" {
			right = "NO " + x.Error
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%.1f\t%.1f\n", x.Client, x.From, x.Bytes, right, x.PauseMs, x.Seconds)
	}
	return w.Flush()
}

// judge is an error if any client got anything but the file.
func (d *demo) judge() error {
	for _, x := range d.Downloads {
		if !x.Right || x.Error != "" {
			return fmt.Errorf("the client of %s did not get the file: %s", x.From, x.Error)
		}
	}
	return nil
}
