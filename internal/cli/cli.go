// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// Exit codes.
const (
	OK     = 0
	Failed = 1
	Usage  = 2
	False  = 3
)

// ErrFalse ends a command with exit 3: it worked, and the answer is no.
var ErrFalse = errors.New("condition is false")

// usageError ends a command with exit 2.
type usageError struct{ error }

// Usagef says what is wrong with the command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// ExitError ends a command with a code of its own and no message: for commands
// that pass on another program's exit.
type ExitError int

func (e ExitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// Main runs app and returns the exit code. The context of the actions ends at
// SIGINT or SIGTERM.
func Main(ctx context.Context, app *cli.App, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, stderr
	app.HideVersion = app.Version == ""
	app.ExitErrHandler = func(*cli.Context, error) {} // the code is decided below
	app.OnUsageError = usage
	h := hardening{literal: afterDashes(args)}
	app.Action = h.orUnknown(app.Action, len(app.Commands) > 0)
	h.harden(app.Commands)
	if err := app.RunContext(ctx, args); err != nil {
		return report(app.Name, err, stderr)
	}
	return OK
}

func usage(_ *cli.Context, err error, _ bool) error { return usageError{err} }

// hardening refuses what urfave/cli would misread.
type hardening struct {
	literal int // so many of the last arguments stand after "--" and are no flags
}

func afterDashes(args []string) int {
	if i := slices.Index(args, "--"); i >= 0 {
		return len(args) - i - 1
	}
	return 0
}

// orUnknown refuses a command name that no subcommand took; urfave/cli would
// print its help and exit 3.
func (h hardening) orUnknown(action cli.ActionFunc, group bool) cli.ActionFunc {
	if action != nil || !group {
		return h.checked(action)
	}
	return func(c *cli.Context) error {
		if c.Args().Present() {
			return Usagef("unknown command %q; %s --help lists them", c.Args().First(), c.App.Name)
		}
		return Usagef("no command; %s --help lists them", c.App.Name)
	}
}

func (h hardening) harden(cmds []*cli.Command) {
	for _, c := range cmds {
		c.OnUsageError = usage
		if len(c.Subcommands) > 0 || !c.SkipFlagParsing {
			c.Action = h.orUnknown(c.Action, len(c.Subcommands) > 0)
		}
		h.harden(c.Subcommands)
	}
}

// checked refuses what looks like a flag among the positional arguments.
func (h hardening) checked(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		args := c.Args().Slice()
		for _, a := range args[:max(0, len(args)-h.literal)] {
			if strings.HasPrefix(a, "-") && a != "-" {
				return Usagef("flag %s comes after an argument; put flags first", a)
			}
		}
		if action == nil {
			return nil
		}
		return action(c)
	}
}

func report(name string, err error, stderr io.Writer) int {
	var bad usageError
	var exit ExitError
	switch {
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, ErrFalse):
		return False
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return Usage
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return Failed
}
