// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/internal/cli"
	"lazystate/tools/lab"
)

func upCommand() *ucli.Command {
	return &ucli.Command{
		Name: "up", Usage: "boot a machine and leave it running", ArgsUsage: "NAME",
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "kernel", Value: "6.1", Usage: "6.1 or 6.12"},
			&ucli.BoolFlag{Name: "kaslr", Usage: "boot the compressed kernel, with KASLR"},
			&ucli.BoolFlag{Name: "debian-cmdline", Usage: "Debian's default kernel command line"},
			&ucli.StringFlag{Name: "append", Usage: "more kernel command `LINE`"},
			&ucli.IntFlag{Name: "mem", Value: 512, Usage: "memory in `MIB`"},
			&ucli.IntFlag{Name: "cpus", Value: 2, Usage: "vCPUs"},
			&ucli.IntFlag{Name: "swap", Usage: "swap disk in `MIB`"},
			&ucli.IntFlag{Name: "bar", Value: 4, Usage: "register BAR in `MIB`"},
			&ucli.StringFlag{Name: "net", Usage: "network namespace shared with other machines (default: its own)"},
			&ucli.StringSliceFlag{Name: "nic", Usage: "an interface: `[BRIDGE=]ADDRESS/BITS`, or \"up\" for one without an address"},
			&ucli.StringSliceFlag{Name: "file", Usage: "`GUEST=HOST` file to put in, with its libraries"},
			&ucli.StringSliceFlag{Name: "package", Usage: "Debian `PACKAGE` to put in"},
			&ucli.StringSliceFlag{Name: "module", Usage: "kernel `MODULE` to insert, with its dependencies"},
		},
		Action: up,
	}
}

func up(c *ucli.Context) error {
	if c.NArg() != 1 {
		return cli.Usagef("up wants one NAME")
	}
	cfg, err := configOf(c)
	if err != nil {
		return err
	}
	if err := lab.Usable(); err != nil {
		return err
	}
	start := time.Now()
	info, err := startSupervisor(c, c.Args().First(), cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "%s is up after %.1f s: %s, %d MiB, %d vCPUs, %s\n",
		info.Name, time.Since(start).Seconds(), info.Kernel, info.MemMiB, info.VCPUs, info.Accel)
	return nil
}

func configOf(c *ucli.Context) (lab.Config, error) {
	cfg := lab.Config{
		Kernel: c.String("kernel"), KASLR: c.Bool("kaslr"), Debian: c.Bool("debian-cmdline"), Append: c.String("append"),
		MemMiB: c.Int("mem"), VCPUs: c.Int("cpus"), SwapMiB: c.Int("swap"), BARMiB: c.Int("bar"), Net: c.String("net"),
		Packages: c.StringSlice("package"), Modules: c.StringSlice("module"), Files: map[string]string{},
	}
	for _, n := range c.StringSlice("nic") {
		var nic lab.NIC
		if bridge, addr, ok := strings.Cut(n, "="); ok {
			nic = lab.NIC{Bridge: bridge, Addr: addr}
		} else if n != "up" {
			nic.Addr = n
		}
		cfg.NICs = append(cfg.NICs, nic)
	}
	for _, f := range c.StringSlice("file") {
		guest, host, ok := strings.Cut(f, "=")
		if !ok {
			return cfg, cli.Usagef("--file %s: want GUEST=HOST", f)
		}
		abs, err := filepath.Abs(host)
		if err != nil {
			return cfg, err
		}
		cfg.Files[guest] = abs
	}
	return cfg, nil
}

// answer is what the supervisor says once, on its stdout.
type answer struct {
	Info  lab.Info
	Error string
}

// startSupervisor starts the process that will own the VM and waits for its
// word. The pipe on its stdin also tells it if we die before that.
func startSupervisor(c *ucli.Context, name string, cfg lab.Config) (lab.Info, error) {
	exe, err := os.Executable()
	if err != nil {
		return lab.Info{}, err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return lab.Info{}, err
	}
	cmd := exec.Command(exe, "supervise", name, string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return lab.Info{}, err
	}
	if err := cmd.Start(); err != nil {
		return lab.Info{}, err
	}
	go func() { // ^C while it boots
		<-c.Context.Done()
		cmd.Process.Signal(syscall.SIGTERM)
	}()
	var a answer
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return lab.Info{}, err
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return lab.Info{}, fmt.Errorf("the supervisor ended without a word: %w", errors.Join(cmd.Wait()))
	}
	if a.Error != "" {
		cmd.Wait()
		return lab.Info{}, errors.New(a.Error)
	}
	return a.Info, cmd.Process.Release()
}
