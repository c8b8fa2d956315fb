// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"lazystate/tools/lab"
	"lazystate/tools/lab/kernel"
)

func kernelsCommand() *ucli.Command {
	return &ucli.Command{
		Name:  "kernels",
		Usage: "fetch the lab's kernels and print series, release, package version and headers, tab-separated",
		Action: func(c *ucli.Context) error {
			for _, series := range kernel.Series() {
				k, err := kernel.Get(c.Context, filepath.Join(lab.CacheDir(), "kernels"), series)
				if err != nil {
					return err
				}
				headers, err := filepath.Abs(k.HeadersDir())
				if err != nil {
					return err
				}
				fmt.Fprintf(c.App.Writer, "%s\t%s\t%s\t%s\n", k.Series, k.Release, k.Version, headers)
			}
			return nil
		},
	}
}

func accelCommand() *ucli.Command {
	return &ucli.Command{
		Name:  "accel",
		Usage: "print QEMU's accelerator: KVM if a guest boots under it here within 10 s, else TCG, and say what that means",
		Action: func(c *ucli.Context) error {
			accel, err := lab.Accel(c.Context)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, accel)
			if lab.Emulates(accel) {
				fmt.Fprintln(c.App.ErrWriter, lab.NoKVM)
			}
			return nil
		},
	}
}
