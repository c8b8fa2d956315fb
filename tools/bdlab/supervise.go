// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/lab"
)

// superviseCommand is the background half of "up".
func superviseCommand() *ucli.Command {
	return &ucli.Command{Name: "supervise", Hidden: true, ArgsUsage: "NAME CONFIG", Action: supervise}
}

func supervise(c *ucli.Context) error {
	if c.NArg() != 2 {
		return cli.Usagef("supervise is what up starts")
	}
	var cfg lab.Config
	if err := json.Unmarshal([]byte(c.Args().Get(1)), &cfg); err != nil {
		return err
	}
	vm, err := lab.Up(c.Context, c.Args().First(), cfg)
	if err != nil {
		tell(c, answer{Error: err.Error()})
		return cli.ExitError(cli.Failed)
	}
	tell(c, answer{Info: vm.Info()})
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		os.Stdout = null // the one who waited is gone
	}
	select {
	case <-c.Context.Done():
	case <-vm.Exited(): // by itself, or because "down" asked this process
	}
	return vm.Down()
}

func tell(c *ucli.Context, a answer) {
	b, err := json.Marshal(a)
	if err != nil {
		b = []byte(`{"Error":"the answer cannot be encoded"}`)
	}
	fmt.Fprintf(c.App.Writer, "%s\n", b)
}
