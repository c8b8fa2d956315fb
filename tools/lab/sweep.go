// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// sweep removes what owners that were killed left behind: QEMU processes,
// state folders, RAM files, namespaces and their locks. The caller holds the lab's lock.
func sweep() error {
	all, err := names()
	if err != nil {
		return err
	}
	var live, nets []string
	var errs []error
	for _, name := range all {
		d := dirOf(name)
		if !d.alive() {
			errs = append(errs, bury(d))
			continue
		}
		live = append(live, name)
		if r, err := d.read(); err == nil {
			nets = append(nets, r.Config.Net)
		}
	}
	return errors.Join(append(errs, sweepShm(live), sweepNets(nets))...)
}

// bury ends what a dead owner left. Its memory goes with sweepShm, which asks
// for its lock; its namespace with sweepNets, as others may share it.
func bury(d stateDir) error {
	if r, err := d.read(); err == nil {
		killQEMU(d, r.QEMUPID)
	}
	return os.RemoveAll(string(d))
}

func sweepShm(live []string) error {
	entries, err := os.ReadDir(shmRoot)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if slices.Contains(live, e.Name()) {
			continue
		}
		f, err := flock(shmLock(e.Name()))
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // alive, with its state in another /run
		}
		if err == nil {
			f.Close()
		}
		errs = append(errs, os.RemoveAll(filepath.Join(shmRoot, e.Name())))
	}
	return errors.Join(errs...)
}

func sweepNets(used []string) error {
	entries, err := os.ReadDir(netnsRoot)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	for _, e := range entries {
		net, ok := strings.CutPrefix(e.Name(), netnsPrefix)
		if !ok || slices.Contains(used, net) {
			continue
		}
		f, err := flock(netLock(net))
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // of Net: there is no machine in it
		}
		if err == nil {
			f.Close()
		}
		errs = append(errs, deleteNetns(net), os.Remove(netLock(net)))
	}
	return errors.Join(append(errs, sweepNetLocks())...)
}

// sweepNetLocks removes those of makers who were killed before there was a
// namespace, or after.
func sweepNetLocks() error {
	paths, err := filepath.Glob(netLock("*"))
	errs := []error{err}
	for _, path := range paths {
		f, err := flock(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err == nil {
			f.Close()
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
