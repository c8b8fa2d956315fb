// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/control"
	"lazystate/tools/scd/config"
)

// commands ask the daemon of this machine.
func commands() []*ucli.Command {
	socket := &ucli.StringFlag{Name: "socket", Value: config.DefaultSocket, EnvVars: []string{"MTCP_SOCKET"}, Usage: "the daemon's control `SOCKET`"}
	asJSON := &ucli.BoolFlag{Name: "json", Usage: "print JSON with stable fields instead of a table"}
	to := &ucli.StringFlag{Name: "to", Required: true, Usage: "the `SERVER` to go to, by its name in the configuration"}
	by := &ucli.StringFlag{Name: "by", Value: "takeover", Usage: "`WAY`: takeover (an address moves, with all its sessions), gateway, client (its agent is advised)"}
	return []*ucli.Command{
		{Name: "ls", Usage: "list the sessions that are kept here", Flags: []ucli.Flag{socket, asJSON}, Action: list},
		{Name: "move", Usage: "move an address and its sessions, or sessions alone, to another server", ArgsUsage: "ADDRESS|SESSION", Flags: []ucli.Flag{socket, asJSON, to, by}, Action: mover("move", 1)},
		{Name: "drain", Usage: "move all addresses, or sessions, to another server", Flags: []ucli.Flag{socket, asJSON, to, by}, Action: mover("drain", 0)},
		{Name: "salvage", Usage: "have the sessions of a dead and fenced machine go on here", ArgsUsage: "MACHINE", Flags: []ucli.Flag{socket, asJSON,
			&ucli.BoolFlag{Name: "dry-run", Usage: "read its memory and say which would; fence nothing, take nothing over"},
			&ucli.BoolFlag{Name: "port-cut", Usage: "its CPUs may not stand, but its port is cut: nobody hears it"},
			&ucli.StringFlag{Name: "as", Usage: "`NAME` that the machine's monitor has given this recovery node (recovery in bdmon.yaml); without: this host's"}}, Action: salvaged},
		{Name: "release", Usage: "end what waits for the daemon, which has ended and is not to come back", Action: release},
		holder(),
	}
}

func list(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	var all []session
	if err := control.Ask(c.Context, c.String("socket"), control.Request{Cmd: "ls"}, &all); err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(all)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tSERVICE\tUID\tGEN\tLOCAL\tCLIENT\tPID\tPROCS\tBYTES")
	for _, s := range all {
		ended := ""
		if s.Ended {
			ended = "\tended"
		}
		fmt.Fprintf(w, "%.12s\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%d%s\n", s.ID, s.Service, s.UID, s.Generation, s.Local, s.Remote, s.PID, s.Processes, s.Bytes, ended)
	}
	return w.Flush()
}

func mover(cmd string, args int) ucli.ActionFunc {
	return func(c *ucli.Context) error {
		if c.NArg() != args {
			return cli.Usagef("%s: want %d argument(s), there are %d", cmd, args, c.NArg())
		}
		ctl, err := control.Dial(c.Context, c.String("socket"))
		if err != nil {
			return err
		}
		defer ctl.Close()
		show := shower{out: c.App.Writer, bar: c.App.ErrWriter, json: c.Bool("json")}
		err = ctl.Stream(control.Request{Cmd: cmd, Target: c.Args().First(), To: c.String("to"), By: c.String("by")}, show.line)
		switch {
		case errors.Is(err, errEnd):
			return nil
		case err == nil:
			return errors.New("scd has ended over it: scd ls on both servers shows where the sessions are")
		}
		return err
	}
}

var errEnd = errors.New("no more answers")

// shower prints what moves; progress goes to a terminal only.
type shower struct {
	out, bar io.Writer
	json     bool
}

func (s shower) line(raw json.RawMessage) error {
	var m moved
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	switch {
	case m.End:
		return errEnd
	case m.Step != "":
		return s.progress(m)
	case s.json:
		_, err := fmt.Fprintf(s.out, "%s\n", raw)
		return err
	}
	if m.By == "takeover" && m.Stayed > 0 {
		_, err := fmt.Fprintf(s.out, "%s: %d session(s) stayed\n", m.Address, m.Stayed)
		return err
	}
	if m.By != "takeover" {
		_, err := fmt.Fprintf(s.out, "%d session(s), to %s, by %s; %d stayed\n", m.Sessions, m.To, m.By, m.Stayed)
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s: %d session(s), %d bytes, to %s; frozen for %d us\n", m.Address, m.Sessions, m.Bytes, m.To, m.FrozenUs)
	return err
}

func (s shower) progress(m moved) error {
	f, ok := s.bar.(*os.File)
	if !ok || m.All == 0 {
		return nil
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	const width = 40
	full := width * m.Done / m.All
	_, err := fmt.Fprintf(f, "\r%-6s [%-*.*s] %d/%d", m.Step, width, full, "########################################", m.Done, m.All)
	if err == nil && m.Done == m.All {
		_, err = fmt.Fprintln(f)
	}
	return err
}
