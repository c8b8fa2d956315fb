// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/control"
)

// commands ask the daemon of this host.
func commands() []*ucli.Command {
	socket := &ucli.StringFlag{Name: "socket", Value: defaultSocket, EnvVars: []string{"MTCP_SOCKET"}, Usage: "the daemon's control `SOCKET`"}
	return []*ucli.Command{
		{Name: "ls", Usage: "list the connections that can move", Flags: []ucli.Flag{socket, &ucli.BoolFlag{Name: "json", Usage: "print JSON with stable fields instead of a table"}}, Action: list},
		{Name: "move", Usage: "have another server go on with a connection", ArgsUsage: "CLIENT:PORT-SERVER:PORT", Action: move,
			Flags: []ucli.Flag{socket, &ucli.StringFlag{Name: "to", Usage: "the `SERVER:PORT`; without it, those that the server has offered"}}},
	}
}

func list(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	var all []connection
	if err := control.Ask(c.Context, c.String("socket"), control.Request{Cmd: "ls"}, &all); err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(all)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONNECTION\tWITH\tMOVES\tRECEIVED\tMAY GO TO")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", s.Flow, s.At, s.Moves, s.Bytes, strings.Join(s.Servers, " "))
	}
	return w.Flush()
}

func move(c *ucli.Context) error {
	if c.NArg() != 1 {
		return cli.Usagef("move: want a connection, as ls prints it")
	}
	return control.Ask(c.Context, c.String("socket"), control.Request{Cmd: "move", Target: c.Args().First(), To: c.String("to")}, nil)
}
