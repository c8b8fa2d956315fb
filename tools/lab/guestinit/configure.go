// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

type mount struct{ source, target, fstype, options string }

var mounts = []mount{
	{"proc", "/proc", "proc", ""},
	{"sysfs", "/sys", "sysfs", ""},
	{"devtmpfs", "/dev", "devtmpfs", ""},
	{"devpts", "/dev/pts", "devpts", "ptmxmode=666"},
	{"shm", "/dev/shm", "tmpfs", ""},
	{"tmp", "/tmp", "tmpfs", "mode=1777"},
	{"run", "/run", "tmpfs", "mode=755"},
	{"debugfs", "/sys/kernel/debug", "debugfs", ""},
	{"tracefs", "/sys/kernel/tracing", "tracefs", ""},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", ""},
}

// configure does all of the set-up and returns everything that went wrong: a
// guest that can say so is worth more than one that stops at the first step.
func configure(s wire.Setup, setupErr error) error {
	errs := []error{setupErr}
	for _, m := range mounts {
		errs = append(errs, m.do())
	}
	errs = append(errs, unix.Sethostname([]byte(s.Hostname)))
	for _, path := range s.Modules {
		errs = append(errs, insmod(path, s.Params[filepath.Base(path)]))
	}
	for key, value := range s.Sysctl {
		errs = append(errs, os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0))
	}
	errs = append(errs, linkUp("lo"))
	for _, n := range s.Nets {
		errs = append(errs, bringUp(n))
		if n.RXE != "" {
			errs = append(errs, addRXE(n.RXE, n.Name, n.Addr != ""))
		}
	}
	if s.Swap {
		errs = append(errs, swapon("/dev/vda"))
	}
	return errors.Join(errs...)
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.fstype, 0, m.options); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}
	return nil
}

func insmod(path string, params []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), strings.Join(params, " "), 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("insmod %s: %w", path, err)
	}
	return nil
}

func rmmod(names []string) error {
	for _, n := range names {
		if err := unix.DeleteModule(n, unix.O_NONBLOCK); err != nil {
			return fmt.Errorf("rmmod %s: %w", n, err)
		}
	}
	return nil
}

func swapon(path string) error {
	if err := waitFor(path, 30*time.Second); err != nil {
		return err
	}
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	return callSwapon(p)
}

// waitFor waits for a device node: drivers probe asynchronously.
func waitFor(path string, bound time.Duration) error {
	for end := time.Now().Add(bound); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return nil
		} else if time.Now().After(end) {
			return fmt.Errorf("%s did not appear in %v", path, bound)
		}
	}
}
