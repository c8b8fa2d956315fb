// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/internal/identity"
	"lazystate/repair"
	"lazystate/tools/bdmon/config"
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
	path := c.String("config")
	cfg, err := load(path, c.Bool("dry-run"))
	if err != nil {
		return err
	}
	if c.Bool("check-config") {
		fmt.Fprintf(c.App.Writer, "%s: ok, %d target(s)\n", path, len(cfg.Targets))
		return nil
	}
	audit, err := repair.OpenAudit(cfg.Audit)
	if err != nil {
		return err
	}
	d := newDaemon(cfg, audit, log)
	d.reload = func() (*config.Config, error) { return load(path, c.Bool("dry-run")) }
	return errors.Join(d.run(c.Context), audit.Close())
}

// load reads the configuration and every key that it names.
func load(path string, dryRun bool) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Targets {
		if _, err := cfg.Targets[i].Key(); err != nil {
			return nil, fmt.Errorf("%s: target %s: %w", path, cfg.Targets[i].Name, err)
		}
	}
	cfg.DryRun = cfg.DryRun || dryRun
	return cfg, nil
}
