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
	"path/filepath"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/examples/outcome/postgres"
	"lazystate/internal/cli"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/control"
	"lazystate/tools/lab"
	"lazystate/tools/testbed"
)

// files and bidding are at the address that the recovery node takes over.
var (
	files   = netip.AddrPortFrom(testbed.Shared, testbed.Port)
	bidding = netip.AddrPortFrom(testbed.Shared, frontPort)
)

const (
	machine   = "web1" // what monitor and recovery node call it
	patience  = 2 * time.Minute
	beginning = 2 << 20 // of the file, that comes before the panic
	someBids  = 20      // likewise
	aftermath = time.Second
)

func show(c *ucli.Context) (err error) {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	if err := errors.Join(netrig.Usable(), steer.Probe(), lab.Usable()); err != nil {
		return err
	}
	d := &demo{c: c, out: c.App.Writer}
	bin := c.String("bin")
	if bin == "" {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		bin = filepath.Dir(exe)
	}
	file := make([]byte, c.Int("size")<<20)
	rand.Read(file)
	sum := sha256.Sum256(file)
	d.sum = hex.EncodeToString(sum[:])
	d.say("a machine boots and serves (kernel %s)", c.String("kernel"))
	if d.vm, err = boot(c.Context, c.String("kernel"), file); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.vm.Down()) }()
	db, err := postgres.Start("auction")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if d.dsn, err = db.Create(c.Context, "auction"); err != nil {
		return err
	}
	beside := map[string]uint16{frontService: frontPort}
	cfg := testbed.Config{Service: "web", Beside: beside, Programs: bin, Clients: []testbed.Link{{}}, Salvage: []any{map[string]any{
		"name": machine, "url": "lab:" + d.vm.Name(), "device": netrig.Dev, "addresses": []string{prefix()},
	}}}
	return testbed.Run(c.Context, cfg, func(b *testbed.Bed) error {
		d.bed = b
		if err := os.WriteFile(filepath.Join(b.Dir(), "file"), file, 0o644); err != nil {
			return err
		}
		return d.play(c.Context)
	})
}

func prefix() string { return testbed.Shared.String() + "/24" }

// demo is the play.
type demo struct {
	c   *ucli.Context
	out io.Writer
	vm  *testbed.Victim
	bed *testbed.Bed
	sum string // of the file
	dsn string // of the auction's database
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) play(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx) // a client that fails ends the play
	defer cancel(nil)
	if err := d.setUp(ctx); err != nil {
		return err
	}
	file, bids := newClient("the download", d.bed.Clients[0], files), newClient("the bidder", d.bed.Clients[0], bidding)
	stop, ended := make(chan struct{}), make(chan error, 2)
	plays := func(err error) {
		if err != nil {
			cancel(err)
		}
		ended <- err
	}
	go func() { plays(file.download(ctx, d.c.Int("rate")<<20, d.sum)) }()
	go func() { plays(bids.bids(ctx, stop)) }()
	if err := d.vm.Outlive(ctx, 2); err != nil {
		return err
	}
	if err := d.until(ctx, "the beginning of the file, and some bids", func() bool { return file.has() >= beginning && bids.has() >= someBids }); err != nil {
		return err
	}
	d.say("%d KiB of %d MiB have come, %d bids were made; now its kernel panics", file.has()>>10, d.c.Int("size"), bids.has())
	at := time.Now()
	d.vm.Panic(ctx)
	if err := d.until(ctx, "the sessions at the recovery node", func() bool {
		all, err := d.bed.S2.Sessions(ctx)
		return err == nil && len(all) == 2
	}); err != nil {
		return errors.Join(err, d.timeline(ctx, at, file, bids))
	}
	time.Sleep(aftermath)
	close(stop)
	var err error
	for range 2 {
		err = errors.Join(err, <-ended)
	}
	if err = errors.Join(err, d.timeline(ctx, at, file, bids)); err == nil {
		d.say("the file is the file, byte for byte, over the one connection; %d bids were each made once", bids.has())
	}
	return err
}

func (d *demo) until(ctx context.Context, what string, f func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Await(ctx, what, f)
}

// setUp has the machine serve on the others' network, with a recovery node beside it.
func (d *demo) setUp(ctx context.Context) error {
	b := d.bed
	b.S1.Unaddr(prefix()) // it is the machine's
	if err := lab.Cable(d.vm.Config().Net, "br0", b.Wire().Try); err != nil {
		return err
	}
	if err := d.vm.Addr(ctx, prefix()); err != nil {
		return err
	}
	if _, err := b.S2.Serve(ctx, "web", "--keeper", "KEEPER", "--listen", "0.0.0.0:PORT", "--root", b.Dir()); err != nil {
		return err
	}
	if err := d.auction(ctx); err != nil {
		return err
	}
	return d.monitor(ctx)
}

func (d *demo) path(name string) string { return filepath.Join(d.bed.Dir(), name) }

// monitor is bdmon, at the recovery node.
func (d *demo) monitor(ctx context.Context) error {
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"socket": d.path("bdmon"), "metrics": "-", "audit": d.path("audit"),
		"targets": []any{map[string]any{
			"name": machine, "url": "lab:" + d.vm.Name(), "key_file": d.path("key"), "repair": map[string]any{"coalesce": "1ms"},
			"healers": []any{map[string]any{"kind": "salvage", "sensors": []string{"panicked", "failed"}, "machine": machine, "scd": d.bed.S2.Control()}},
		}},
	})
	if err == nil {
		err = errors.Join(os.WriteFile(d.path("bdmon.yaml"), text, 0o600), os.WriteFile(d.path("key"), fmt.Appendf(nil, "%x\n", key[:]), 0o600))
	}
	if err != nil {
		return err
	}
	p, err := d.bed.Launch(d.bed.S2.Host, "bdmon", "--config", d.path("bdmon.yaml"))
	if err != nil {
		return err
	}
	err = d.until(ctx, "the monitor's target", func() bool {
		var all []control.Target
		err := control.Ask(ctx, d.path("bdmon"), control.Request{Cmd: "targets"}, &all)
		return err == nil && len(all) == 1 && all[0].Up && all[0].Writable
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.Said())
	}
	return nil
}
