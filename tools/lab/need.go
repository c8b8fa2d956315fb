// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// placeBound is how long a test waits until its process has its places.
const placeBound = 20 * time.Minute

// Need skips the test unless this machine can boot VMs, and takes the process's
// places among the machines of this host. With LAZYSTATE_LAB=required, as in CI,
// a skip is a failure.
func Need(t testing.TB) {
	t.Helper()
	if err := Usable(); err != nil {
		Skip(t, err.Error())
	}
	ctx, cancel := context.WithTimeout(t.Context(), placeBound)
	defer cancel()
	if err := reserve(ctx); err != nil {
		t.Fatal(err)
	}
}

// Skip skips for a reason that LAZYSTATE_LAB=required does not accept.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(labEnv) == "required" {
		t.Fatalf("%s=required: %s", labEnv, reason)
	}
	t.Skip(reason)
}

// Net makes a network namespace that ends with the test: for what needs a network
// and no machine.
func Net(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		Skip(t, "a network namespace needs root")
	}
	name := fmt.Sprintf("t-%d-%d", os.Getpid(), news.Add(1))
	var lock *os.File
	err := locked(func() (err error) {
		if lock, err = flock(netLock(name)); err != nil {
			return err
		}
		return makeNetns(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer lock.Close()
		err := locked(func() error { return errors.Join(deleteNetns(name), os.Remove(netLock(name))) })
		if err != nil {
			t.Error(err)
		}
	})
	return name
}

var news atomic.Int64

// New boots a VM for one test and takes it down at its end. A test may have
// several.
func New(t testing.TB, c Config) *VM {
	t.Helper()
	Need(t)
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %s %d %d", filepath.Base(os.Args[0]), t.Name(), os.Getpid(), news.Add(1))
	vm, err := Up(t.Context(), fmt.Sprintf("n-%08x", h.Sum32()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Down(); err != nil {
			t.Error(err)
		}
	})
	return vm
}

// Module returns a module of kmod built for the VM's kernel, or says that
// "make kmod" has not been run.
func Module(t testing.TB, vm *VM, name string) string {
	t.Helper()
	ko, err := vm.ModuleFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return ko
}
