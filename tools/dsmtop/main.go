// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/internal/pause"
	"lazystate/tools/dsmd/status"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "dsmtop", Usage: "shows a run of the DSM as it goes", ArgsUsage: "DIR",
		Flags: []ucli.Flag{
			&ucli.DurationFlag{Name: "every", Value: time.Second, Usage: "between two looks"},
			&ucli.BoolFlag{Name: "once", Usage: "look once"},
			&ucli.BoolFlag{Name: "links", Usage: "show the links too"},
			&ucli.BoolFlag{Name: "json", Usage: "print the reports as JSON, a line a look"},
		},
		Action: top,
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

func top(c *ucli.Context) error {
	if c.Args().Len() != 1 {
		return cli.Usagef("want the folder of a run; dsmtop --help")
	}
	if c.Duration("every") <= 0 {
		return cli.Usagef("--every %v: want more than nothing", c.Duration("every"))
	}
	v := view{links: c.Bool("links"), json: c.Bool("json"), clears: terminal(c.App.Writer), once: c.Bool("once")}
	for {
		now, err := status.Read(c.Args().First())
		if len(now) == 0 && err != nil {
			return err
		}
		if err := v.show(c.App.Writer, now, err); err != nil || v.once {
			return err
		}
		if err := pause.For(c.Context, c.Duration("every")); errors.Is(err, context.Canceled) {
			return nil
		}
	}
}

// terminal is true for what shows a page at a time.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// view is how it is shown, and what was seen last.
type view struct {
	links, json, clears, once bool
	last                      []status.Report
}

// show prints one look. What could not be read stands below.
func (v *view) show(w io.Writer, now []status.Report, bad error) error {
	if v.json {
		return errors.Join(json.NewEncoder(w).Encode(now), bad)
	}
	var page bytes.Buffer
	if v.clears && !v.once {
		page.WriteString("\x1b[H\x1b[2J")
	}
	nodes(&page, time.Now(), v.last, now)
	if v.links {
		page.WriteByte('\n')
		links(&page, v.last, now)
	}
	if bad != nil {
		fmt.Fprintln(&page, bad)
	}
	if !v.clears && !v.once {
		page.WriteByte('\n')
	}
	v.last = now
	_, err := w.Write(page.Bytes())
	return err
}
