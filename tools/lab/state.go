// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/atomicfile"
	"lazystate/internal/pause"
)

// Where the lab keeps what is alive. Folders are 0700 and files 0600: a RAM
// file is the whole memory of a machine.
const (
	stateRoot = "/run/lazystate/lab"
	shmRoot   = "/dev/shm/lazystate"
)

// record is meta.json of a VM: what a successor needs to attach or to clean up.
type record struct {
	Name     string `json:"name"`
	OwnerPID int    `json:"owner_pid"`
	Owner    string `json:"owner"` // the owner's command name
	QEMUPID  int    `json:"qemu_pid,omitempty"`
	Accel    string `json:"accel,omitempty"`
	Release  string `json:"release,omitempty"`
	Version  string `json:"kernel_package,omitempty"`
	Config   Config `json:"config"`
}

type stateDir string

func dirOf(name string) stateDir           { return stateDir(filepath.Join(stateRoot, name)) }
func (d stateDir) file(name string) string { return filepath.Join(string(d), name) }
func (d stateDir) name() string            { return filepath.Base(string(d)) }
func (d stateDir) ram() string             { return filepath.Join(shmRoot, d.name(), "ram") }
func (d stateDir) bar() string             { return filepath.Join(shmRoot, d.name(), "bar") }

func (d stateDir) write(r record) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.file("meta.json"), b, 0o600)
}

func (d stateDir) read() (record, error) {
	var r record
	b, err := os.ReadFile(d.file("meta.json"))
	if err != nil {
		return r, err
	}
	err = json.Unmarshal(b, &r)
	return r, err
}

// flock takes a lock without waiting. The kernel drops it with its holder,
// whatever ends that: it is how liveness is told from leftovers.
func flock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func waitFlock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := flock(path)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return f, err
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// locked runs f while no other process creates or removes VMs.
func locked(f func() error) error {
	for _, dir := range []string{stateRoot, shmRoot} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	l, err := os.OpenFile(filepath.Join(stateRoot, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := unix.Flock(int(l.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return f()
}

// alive reports whether the VM's owner still holds its lock. It makes no file:
// the folder may be going just now.
func (d stateDir) alive() bool {
	f, err := os.OpenFile(d.file("lock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func shmLock(name string) string { return filepath.Join(shmRoot, name, "lock") }

// netLock is held by who made a namespace that has no machine.
func netLock(net string) string { return filepath.Join(stateRoot, "net-"+net+".lock") }

// names lists the state folders, dead or alive.
func names() ([]string, error) {
	entries, err := os.ReadDir(stateRoot)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && nameRule.MatchString(e.Name()) && e.Name() != slotsName {
			all = append(all, e.Name())
		}
	}
	return all, err
}

// locks are what an owner holds: one in each of a VM's folders, because what
// shares /dev/shm (containers, a chroot) need not share /run.
type locks struct{ state, shm *os.File }

func (l locks) close() {
	for _, f := range []*os.File{l.state, l.shm} {
		if f != nil {
			f.Close()
		}
	}
}

// claim makes the folders of a new VM and locks them, with leftovers swept first.
func claim(r record) (stateDir, locks, error) {
	d := dirOf(r.Name)
	var l locks
	err := locked(func() error {
		if err := sweep(); err != nil {
			return err
		}
		if err := os.Mkdir(string(d), 0o700); errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%w: %s", ErrExists, r.Name)
		} else if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(d.ram()), 0o700); err != nil {
			return err
		}
		var err error
		if l.state, err = flock(d.file("lock")); err != nil {
			return err
		}
		if l.shm, err = flock(shmLock(r.Name)); err != nil {
			return errors.Join(fmt.Errorf("%w, seen from another /run: %s", ErrExists, r.Name), os.RemoveAll(string(d)))
		}
		return d.write(r)
	})
	if err != nil {
		l.close()
	}
	return d, l, err
}

// killQEMU ends a QEMU that outlived its owner; the command line proves that
// the process id is not somebody else's by now.
func killQEMU(d stateDir, pid int) {
	if pid <= 1 {
		return
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(b), d.ram()) {
		return
	}
	syscall.Kill(pid, syscall.SIGKILL)
}
