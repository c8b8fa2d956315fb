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
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/testbed"
)

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

func show(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	if err := errors.Join(netrig.Usable(), steer.Probe()); err != nil {
		return err
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return err
	}
	d := &demo{c: c, out: c.App.Writer}
	if c.Bool("json") {
		d.out = io.Discard
	}
	if err := d.run(c.Context); err != nil {
		return err
	}
	if c.Bool("json") {
		return errors.Join(json.NewEncoder(c.App.Writer).Encode(d.report), d.judge())
	}
	return errors.Join(d.table(), d.judge())
}

// demo is the play.
type demo struct {
	c    *ucli.Context
	out  io.Writer
	bed  *testbed.Bed
	root string // of the web servers
	sum  string // of the file there
	report
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// run has the play on machines of its own.
func (d *demo) run(ctx context.Context) (err error) {
	bin := d.c.String("bin")
	if bin == "" {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		bin = filepath.Dir(exe)
	}
	if d.root, err = os.MkdirTemp("", "mtcpdemo"); err != nil {
		return err
	}
	defer os.RemoveAll(d.root)
	if err := d.makeFile(); err != nil {
		return err
	}
	cfg := testbed.Config{Service: "web", Servers: 3, Gateway: true, Programs: bin, Clients: []testbed.Link{{Agent: true, Args: []string{"--patience", "20s"}}}}
	return testbed.Run(ctx, cfg, func(b *testbed.Bed) error {
		d.bed = b
		return d.play(ctx)
	})
}

func (d *demo) makeFile() error {
	f, err := os.Create(filepath.Join(d.root, "file"))
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, sum), rand.Reader, int64(d.c.Int("size"))<<20)
	d.sum = hex.EncodeToString(sum.Sum(nil))
	return errors.Join(err, f.Close())
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
