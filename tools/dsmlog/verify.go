// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm"
	"lazystate/dsm/store"
	"lazystate/internal/cli"
)

// verdict is of one checkpoint.
type verdict struct {
	Dir    string     `json:"dir"`
	Node   dsm.NodeID `json:"node"`
	Number uint32     `json:"number"`
	OK     bool       `json:"ok"`
	Gone   bool       `json:"gone,omitempty"` // a daemon has discarded it meanwhile
	Error  string     `json:"error,omitempty"`
}

func verify() *ucli.Command {
	return &ucli.Command{
		Name: "verify", Usage: "reads everything; exit 3 if something is damaged", ArgsUsage: "DIR...",
		Flags: []ucli.Flag{asJSON()},
		Action: func(c *ucli.Context) error {
			all, err := folders(c)
			if err != nil {
				return err
			}
			verdicts, damaged := []verdict{}, false
			for _, f := range all {
				for _, k := range f.Window {
					v := judge(f, k.Number)
					verdicts = append(verdicts, v)
					damaged = damaged || !v.OK
				}
			}
			if c.Bool("json") {
				err = printJSON(c.App.Writer, verdicts)
			} else {
				say(c, verdicts)
			}
			if err == nil && damaged {
				err = cli.ErrFalse
			}
			return err
		},
	}
}

// judge reads one checkpoint.
func judge(f *store.Folder, number uint32) verdict {
	v := verdict{Dir: f.Dir, Node: f.Node, Number: number, OK: true}
	_, _, err := f.Read(number)
	if errors.Is(err, fs.ErrNotExist) && discarded(f.Dir, number) {
		v.Gone = true
		return v
	}
	if err != nil {
		v.OK, v.Error = false, err.Error()
	}
	return v
}

// discarded is true if a checkpoint that was in the window is not any more.
func discarded(dir string, number uint32) bool {
	f, err := store.Look(dir)
	if err != nil {
		return false
	}
	for _, k := range f.Window {
		if k.Number == number {
			return false
		}
	}
	return true
}

func say(c *ucli.Context, verdicts []verdict) {
	for _, v := range verdicts {
		what := "ok"
		switch {
		case v.Gone:
			what = "discarded meanwhile"
		case !v.OK:
			what = v.Error
		}
		fmt.Fprintf(c.App.Writer, "%v checkpoint %d: %s\n", v.Node, v.Number, what)
	}
	if len(verdicts) == 0 {
		fmt.Fprintln(c.App.Writer, "no checkpoint yet")
	}
}
