// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tune sets what a carrier in software needs (the I-NIC needs nothing): the
// RDMA interface's interrupts on CPU 0, which the repair lock can leave free.
func tune(nic string) error {
	if nic == "" {
		return nil
	}
	device, err := filepath.EvalSymlinks("/sys/class/net/" + nic + "/device")
	if err != nil {
		return fmt.Errorf("interface %s: %w", nic, err)
	}
	vectors, err := filepath.Glob(filepath.Join(device, "msi_irqs", "*"))
	if err != nil {
		return err
	}
	if len(vectors) == 0 { // virtio: the PCI function above has them
		vectors, err = filepath.Glob(filepath.Join(filepath.Dir(device), "msi_irqs", "*"))
		if err != nil {
			return err
		}
	}
	for _, v := range vectors {
		file := "/proc/irq/" + filepath.Base(v) + "/smp_affinity"
		if err := os.WriteFile(file, []byte("1"), 0); err != nil && !errors.Is(err, unix.EIO) { // EIO: a managed vector
			return fmt.Errorf("interrupts of %s: %w", nic, err)
		}
	}
	return nil
}

// notify speaks systemd's readiness protocol; without systemd it does nothing.
// (Package net would make this program need the target's C library.)
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte(state), 0, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
