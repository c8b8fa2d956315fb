// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"

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
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return cli.Usagef("--log-level: %v", err)
	}
	cfg, err := config.Load(c.String("config"))
	if err != nil {
		return err
	}
	if c.Bool("check-config") {
		fmt.Fprintf(c.App.Writer, "%s: ok, %d service(s), %d peer(s)\n", c.String("config"), len(cfg.Services), len(cfg.Peers))
		return nil
	}
	log := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
	d, err := newDaemon(cfg, log)
	if err != nil {
		return err
	}
	return d.run(c.Context)
}
