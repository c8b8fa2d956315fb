// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/internal/identity"
	"lazystate/tools/scd/config"
)

func action(c *ucli.Context) error {
	if c.Args().Present() {
		return cli.Usagef("unexpected argument %q", c.Args().First())
	}
	if path := c.String("new-identity"); path != "" {
		public, err := identity.Create(path)
		if err == nil {
			_, err = fmt.Fprintln(c.App.Writer, public)
		}
		return err
	}
	log, err := cli.Logger(c)
	if err != nil {
		return err
	}
	cfg, err := config.Load(c.String("config"))
	if err != nil {
		return err
	}
	if c.Bool("check-config") {
		fmt.Fprintf(c.App.Writer, "%s: ok, %d service(s), %d peer(s)\n", c.String("config"), len(cfg.Services), len(cfg.Peers))
		return nil
	}
	d, err := newDaemon(cfg, log)
	if err != nil {
		return err
	}
	return d.run(c.Context)
}
