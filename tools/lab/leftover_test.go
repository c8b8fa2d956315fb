// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// elsewhere runs f on a thread that sees /run, /dev/shm and a folder of its own,
// each a tmpfs of 4 MiB: what f breaks there, nobody else's lab meets.
func elsewhere(t *testing.T, f func(dir string) error) {
	t.Helper()
	if os.Getuid() != 0 {
		Skip(t, "a mount namespace needs root")
	}
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		for _, at := range []string{"/run", "/dev/shm", dir} {
			if err == nil {
				err = unix.Mount("tmpfs", at, "tmpfs", 0, "size=4m")
			}
		}
		if err == nil {
			err = f(dir)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// namespace is makeNetns on this thread, for that one's threads are of the host.
func namespace(net string) error {
	return errors.Join(os.MkdirAll(netnsRoot, 0o755), os.WriteFile(NetnsPath(net), nil, 0o444), unix.Unshare(unix.CLONE_NEWNET),
		unix.Mount("/proc/thread-self/ns/net", NetnsPath(net), "", unix.MS_BIND, ""))
}

// Whoever is killed at any step of making a VM or a network leaves a part of
// what there is in the end. Each is swept, and none keeps the others from it.
func TestEveryLeftoverIsSwept(t *testing.T) {
	for name, leave := range map[string]func() error{
		"state folder without anything": func() error { return os.Mkdir(string(dirOf("x")), 0o700) },
		"state folder that is locked no more": func() error {
			return errors.Join(os.Mkdir(string(dirOf("x")), 0o700), os.WriteFile(dirOf("x").file("lock"), nil, 0o600))
		},
		"record half written": func() error {
			return errors.Join(os.Mkdir(string(dirOf("x")), 0o700), os.WriteFile(dirOf("x").file("meta.json"), []byte(`{"name":`), 0o600),
				os.WriteFile(dirOf("x").file(".meta.json-1"), nil, 0o600))
		},
		"sockets, swap and initrd": func() error {
			err := os.Mkdir(string(dirOf("x")), 0o700)
			for _, f := range []string{"lab.sock", "qmp.sock", "swap", "initrd.cpio", "serial.log", "resets"} {
				err = errors.Join(err, os.WriteFile(dirOf("x").file(f), nil, 0o600))
			}
			return err
		},
		"memory without a state folder": func() error {
			return errors.Join(os.Mkdir(filepath.Dir(dirOf("x").ram()), 0o700), os.WriteFile(dirOf("x").ram(), nil, 0o600),
				os.WriteFile(dirOf("x").bar(), nil, 0o600))
		},
		"namespace's name without one": func() error {
			return errors.Join(os.Mkdir(netnsRoot, 0o755), os.WriteFile(NetnsPath("x"), nil, 0o444))
		},
		"namespace":                     func() error { return namespace("x") },
		"namespace's lock, and no more": func() error { return os.WriteFile(netLock("x"), nil, 0o600) },
		"all of it": func() error {
			return errors.Join(os.Mkdir(string(dirOf("x")), 0o700), os.Mkdir(filepath.Dir(dirOf("x").ram()), 0o700),
				os.WriteFile(netLock("x"), nil, 0o600), namespace("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere(t, func(string) error {
				if err := locked(leave); err != nil {
					return err
				}
				if err := locked(sweep); err != nil {
					t.Errorf("sweep: %v", err)
				}
				left := traces("x")
				if _, err := os.Stat(netLock("x")); err == nil {
					left = append(left, netLock("x"))
				}
				if len(left) > 0 {
					t.Errorf("left: %v", left)
				}
				return nil
			})
		})
	}
}

// What somebody still holds stays, also where there is nothing yet but his lock.
func TestLockOfALivingMakerStays(t *testing.T) {
	elsewhere(t, func(string) error {
		if err := locked(func() error { return nil }); err != nil {
			return err
		}
		held, err := flock(netLock("x"))
		if err != nil {
			return err
		}
		defer held.Close()
		if err := locked(sweep); err != nil {
			return err
		}
		_, err = os.Stat(netLock("x"))
		return err
	})
}

// A file system that is full is named before QEMU starts, with what is missing;
// no file is left that looks like a machine's.
func TestNoRoom(t *testing.T) {
	elsewhere(t, func(dir string) error {
		for _, make := range []func(string, int) error{makeBacking, makeSwap} {
			path := dir + "/file"
			err := make(path, 8)
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(fmt.Sprint(err), path+": it takes 8 MiB, ") {
				t.Errorf("8 MiB in a file system of 4: %v", err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file is left")
			}
			if err := make(path, 2); err != nil {
				t.Errorf("2 MiB: %v", err)
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	})
}

// One that fills up later ends QEMU, and the error says where to look.
func TestBusErrorNamesTheMemory(t *testing.T) {
	p := &process{err: exec.Command("/bin/sh", "-c", "kill -BUS $$").Run()}
	if err := p.ended(); !strings.Contains(err.Error(), "is there room for the guest's memory in "+shmRoot) {
		t.Errorf("%v", err)
	}
}
