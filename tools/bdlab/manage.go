// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/lab"
)

// withVM attaches to the machine named first among want arguments.
func withVM(want string, n int, f func(*ucli.Context, *lab.VM) error) ucli.ActionFunc {
	return func(c *ucli.Context) error {
		if c.NArg() != n {
			return cli.Usagef("%s wants %s", c.Command.Name, want)
		}
		vm, err := lab.Attach(c.Args().First())
		if err != nil {
			return err
		}
		defer vm.Close()
		return f(c, vm)
	}
}

func putCommand() *ucli.Command {
	const args = "NAME HOST-FILE GUEST-FILE"
	return &ucli.Command{Name: "put", Usage: "copy a file into the guest", ArgsUsage: args,
		Action: withVM(args, 3, func(c *ucli.Context, vm *lab.VM) error {
			return vm.Put(c.Context, c.Args().Get(1), c.Args().Get(2))
		})}
}

func getCommand() *ucli.Command {
	const args = "NAME GUEST-FILE HOST-FILE"
	return &ucli.Command{Name: "get", Usage: "copy a file out of the guest", ArgsUsage: args,
		Action: withVM(args, 3, func(c *ucli.Context, vm *lab.VM) error {
			return vm.Get(c.Context, c.Args().Get(1), c.Args().Get(2))
		})}
}

func resetCommand() *ucli.Command {
	return &ucli.Command{Name: "reset", Usage: "press the reset button and wait for the new boot", ArgsUsage: "NAME",
		Action: withVM("one NAME", 1, func(c *ucli.Context, vm *lab.VM) error { return vm.Reset(c.Context) })}
}

func downCommand() *ucli.Command {
	return &ucli.Command{Name: "down", Usage: "end a machine and remove its traces", ArgsUsage: "NAME",
		Action: withVM("one NAME", 1, func(c *ucli.Context, vm *lab.VM) error { return vm.Down() })}
}

func qmpCommand() *ucli.Command {
	return &ucli.Command{Name: "qmp", Usage: "run a command of QEMU's machine protocol", ArgsUsage: "NAME COMMAND [JSON]",
		Action: func(c *ucli.Context) error {
			if c.NArg() < 2 || c.NArg() > 3 {
				return cli.Usagef("qmp wants NAME, COMMAND and perhaps its arguments as JSON")
			}
			var args json.RawMessage
			if c.NArg() == 3 {
				if args = json.RawMessage(c.Args().Get(2)); !json.Valid(args) {
					return cli.Usagef("qmp arguments are no JSON: %s", args)
				}
			}
			vm, err := lab.Attach(c.Args().First())
			if err != nil {
				return err
			}
			defer vm.Close()
			ret, err := vm.QMP(c.Context, c.Args().Get(1), nilOr(args))
			if err == nil {
				fmt.Fprintf(c.App.Writer, "%s\n", ret)
			}
			return err
		}}
}

// nilOr keeps an empty message from becoming "arguments": null.
func nilOr(m json.RawMessage) any {
	if m == nil {
		return nil
	}
	return m
}

func lsCommand() *ucli.Command {
	return &ucli.Command{Name: "ls", Usage: "list the machines that are up, and remove what is left of others",
		Flags: []ucli.Flag{&ucli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action: func(c *ucli.Context) error {
			infos, err := lab.List()
			if err != nil {
				return err
			}
			if c.Bool("json") {
				if infos == nil {
					infos = []lab.Info{}
				}
				enc := json.NewEncoder(c.App.Writer)
				enc.SetIndent("", "  ")
				return enc.Encode(infos)
			}
			w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tKERNEL\tMIB\tVCPUS\tSWAP\tACCEL\tOWNER\tPID")
			for _, i := range infos {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%d\n", i.Name, i.Kernel, i.MemMiB, i.VCPUs, i.SwapMiB, i.Accel, i.Owner, i.OwnerPID)
			}
			return w.Flush()
		}}
}
