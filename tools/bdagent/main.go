// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name: "bdagent", Usage: "prepares this machine to be watched and healed from outside",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "module", Usage: "backdoor.ko to load; empty: it is loaded already", EnvVars: []string{"BD_MODULE"}},
			&ucli.BoolFlag{Name: "allow-repair", Usage: "let monitors freeze and repair this machine", EnvVars: []string{"BD_ALLOW_REPAIR"}},
			&ucli.BoolFlag{Name: "allow-fence", Usage: "let monitors stop this machine for good", EnvVars: []string{"BD_ALLOW_FENCE"}},
			&ucli.StringSliceFlag{Name: "param", Usage: "other parameter of the module, `NAME=VALUE`"},
			&ucli.StringFlag{Name: "rdma-module", Usage: "backdoor_rdma.ko to load once the keys are there", EnvVars: []string{"BD_RDMA_MODULE"}},
			&ucli.StringSliceFlag{Name: "rdma-param", Usage: "parameter of that module, `NAME=VALUE`"},
			&ucli.StringFlag{Name: "limits", Usage: "this machine's contract, `NAME:VALUE,...`", EnvVars: []string{"BD_LIMITS"}},
			&ucli.StringFlag{Name: "keys", Usage: "`FILE` of monitor keys, 0600", EnvVars: []string{"BD_KEYS"}},
			&ucli.StringFlag{Name: "policy", Usage: "`FILE` of what each monitor may do", EnvVars: []string{"BD_POLICY"}},
			&ucli.StringFlag{Name: "nic", Usage: "interface of an RDMA device in software: its interrupts and workers go to the module's nic_cpu", EnvVars: []string{"BD_NIC"}},
			&ucli.BoolFlag{Name: "untune", Usage: "put back what --nic changed and end"},
			&ucli.BoolFlag{Name: "keys-only", Usage: "give keys and policy to the loaded module and end"},
			&ucli.StringFlag{Name: "revoke", Usage: "take the key of monitor `SLOT` away and end"},
			&ucli.BoolFlag{Name: "once", Usage: "set up and end; no heartbeat"},
		},
		Action: func(c *ucli.Context) error {
			if c.Args().Present() {
				return cli.Usagef("unexpected argument %q", c.Args().First())
			}
			o := options{
				module: c.String("module"), params: params(c), keys: c.String("keys"), policy: c.String("policy"),
				rdmaModule: c.String("rdma-module"), rdmaParams: strings.Join(c.StringSlice("rdma-param"), " "),
				nic: c.String("nic"), once: c.Bool("once"), stderr: stderr,
			}
			switch {
			case c.Bool("untune"):
				return tuned.undo()
			case c.IsSet("revoke"):
				return revoke(c.String("revoke"))
			case c.Bool("keys-only") && o.keys == "":
				return cli.Usagef("--keys-only needs --keys")
			case c.Bool("keys-only"):
				return rekey(o)
			}
			return serve(c.Context, o)
		},
	}
	return cli.Main(ctx, app, args, stdin, stdout, stderr)
}

// params are the module's parameters in the form insmod takes.
func params(c *ucli.Context) string {
	var all []string
	for _, name := range []string{"allow-repair", "allow-fence"} {
		if c.Bool(name) {
			all = append(all, strings.ReplaceAll(name, "-", "_")+"=1")
		}
	}
	if l := c.String("limits"); l != "" {
		all = append(all, "limits="+l)
	}
	return strings.Join(append(all, c.StringSlice("param")...), " ")
}

type options struct {
	module, params         string
	rdmaModule, rdmaParams string
	keys, policy, nic      string
	once                   bool
	stderr                 io.Writer
}

// serve sets up, says so, and beats until ctx ends.
func serve(ctx context.Context, o options) error {
	if o.module != "" {
		if err := loadModule(o.module, o.params, o.stderr); err != nil {
			return err
		}
	}
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.Close()
	if err := setUp(d, o); err != nil {
		return err
	}
	if o.once {
		return nil
	}
	h, err := newHeart(d)
	if err != nil {
		return err
	}
	if err := notify("READY=1"); err != nil {
		fmt.Fprintln(o.stderr, "bdagent:", err)
	}
	fmt.Fprintln(o.stderr, "serving: heartbeat and memory stall")
	return errors.Join(h.beat(ctx), tuned.undo())
}

func setUp(d *device, o options) error {
	if err := giveKeys(d, o); err != nil {
		return err
	}
	missing, err := d.registerForeign("/proc/kallsyms")
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		fmt.Fprintln(o.stderr, "note: this kernel does not tell where these lie:", strings.Join(missing, " "))
	}
	if o.rdmaModule != "" {
		if err := loadModule(o.rdmaModule, o.rdmaParams, o.stderr); err != nil {
			return err
		}
	}
	return tuned.apply(o.nic, o.stderr)
}
