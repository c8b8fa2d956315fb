// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm/store"
)

func list() *ucli.Command {
	return &ucli.Command{
		Name: "list", Usage: "the window of each node", ArgsUsage: "DIR...",
		Flags: []ucli.Flag{asJSON()},
		Action: func(c *ucli.Context) error {
			all, err := folders(c)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, all)
			}
			return table(c.App.Writer, all)
		},
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func table(out io.Writer, all []*store.Folder) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tCKPT\tINC\tTIME\tOPERATION\tT_CKP\tV_H\tPAGES\tFRESH\tGONE\tSTATE\tPRIVATE\t")
	for _, f := range all {
		for _, c := range f.Window {
			if c.Error != "" {
				fmt.Fprintf(w, "%v\t%d\t\t\t\t\t%v\t\t\t%d\t\t\t%s\n", f.Node, c.Number, c.V, c.Gone, c.Error)
				continue
			}
			fmt.Fprintf(w, "%v\t%d\t%d\t%s\t%d\t%v\t%v\t%d\t%d\t%d\t%d\t%d\t\n", f.Node, c.Number, c.Incarnation,
				c.Time.Format(time.DateTime), c.Ordinal, c.T, c.V, c.Pages, c.Fresh, c.Gone, c.State, c.Private)
		}
		fmt.Fprintf(w, "%v\tof %d, incarnation %d%s%s\n", f.Node, f.Nodes, f.Incarnation, inUse(f), others(f))
	}
	return w.Flush()
}

func inUse(f *store.Folder) string {
	if f.InUse {
		return ", in use"
	}
	return ""
}

func others(f *store.Folder) string {
	if len(f.Others) > 0 {
		return fmt.Sprintf("; also there: %q", f.Others)
	}
	return ""
}
