// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func app(did *[]string) *cli.App {
	note := func(c *cli.Context) error { *did = append(*did, c.Args().Slice()...); return nil }
	fail := func(err error) cli.ActionFunc { return func(*cli.Context) error { return err } }
	return &cli.App{Name: "tool", Commands: []*cli.Command{
		{Name: "do", Action: note, Flags: []cli.Flag{&cli.BoolFlag{Name: "force"}}},
		{Name: "exec", Action: note, SkipFlagParsing: true},
		{Name: "group", Subcommands: []*cli.Command{{Name: "do", Action: note}}},
		{Name: "fail", Action: fail(errors.New("fetch t1: refused"))},
		{Name: "false", Action: fail(ErrFalse)},
		{Name: "usage", Action: fail(Usagef("want %s", "NAME"))},
		{Name: "seven", Action: fail(ExitError(7))},
	}}
}

func TestExitCodes(t *testing.T) {
	for line, want := range map[string]struct {
		code int
		err  string
		did  string
	}{
		"do a b":           {OK, "", "a b"},
		"do --force a":     {OK, "", "a"},
		"do a --force":     {Usage, "tool: flag --force comes after an argument; put flags first\n", ""},
		"do -- a":          {OK, "", "a"},
		"do -- --force":    {OK, "", "--force"},
		"do -":             {OK, "", "-"},
		"do --nonsense":    {Usage, "tool: flag provided but not defined: -nonsense\n", ""},
		"exec vm ls -l -a": {OK, "", "vm ls -l -a"},
		"group do x":       {OK, "", "x"},
		"group do x -y":    {Usage, "tool: flag -y comes after an argument; put flags first\n", ""},
		"group nonsense":   {Usage, "unknown command", ""},
		"nonsense":         {Usage, "tool: unknown command \"nonsense\"; tool --help lists them\n", ""},
		"":                 {Usage, "tool: no command; tool --help lists them\n", ""},
		"--nonsense":       {Usage, "tool: flag provided but not defined: -nonsense\n", ""},
		"fail":             {Failed, "tool: fetch t1: refused\n", ""},
		"false":            {False, "", ""},
		"usage":            {Usage, "tool: want NAME\n", ""},
		"seven":            {7, "", ""},
	} {
		var did []string
		var out, errs bytes.Buffer
		code := Main(context.Background(), app(&did), append([]string{"tool"}, strings.Fields(line)...), strings.NewReader(""), &out, &errs)
		if code != want.code || !strings.Contains(errs.String(), want.err) || want.err == "" && errs.Len() > 0 || strings.Join(did, " ") != want.did {
			t.Errorf("tool %s: exit %d, stderr %q, did %v; want %+v", line, code, errs.String(), did, want)
		}
	}
}

func TestHelpIsData(t *testing.T) {
	var did []string
	var out, errs bytes.Buffer
	code := Main(context.Background(), app(&did), []string{"tool", "--help"}, strings.NewReader(""), &out, &errs)
	if code != OK || !strings.Contains(out.String(), "exec") || errs.Len() > 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out.String(), errs.String())
	}
}
