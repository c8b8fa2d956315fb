// SPDX-License-Identifier: Apache-2.0

// Package cli wraps urfave/cli once, so that every command of the project
// behaves alike: exit 0 for success, 1 when the operation failed, 2 for wrong
// usage, 3 when a condition asked about is false; data on stdout, talk on
// stderr; errors as "bdctl: sensors t1: connection refused".
//
// The trap it closes: urfave/cli silently takes a flag after a positional
// argument as one more positional, so "bdlab down x --force" would not force.
// Here that is a usage error; "--" ends the flags, and a command whose
// arguments are another program's sets SkipFlagParsing.
//
//	func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }
//
//	func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
//		app := &cli.App{Name: "bdctl", Usage: "reads what backdoors show", Commands: []*cli.Command{sensors()}}
//		return cli.Main(ctx, app, args, stdin, stdout, stderr)
//	}
package cli
