// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lazystate/tools/lab/image"
	"lazystate/tools/lab/kernel"
)

const (
	tcg        = "tcg,thread=multi"
	tcgCounted = "tcg,thread=single" // the only one that can count instructions
	kvm        = "kvm"
	probeBound = 10 * time.Second
)

// Accel returns QEMU's accelerator: KVM only if a guest really boots under it
// here, which the existence of /dev/kvm does not tell. The answer is kept
// until the host boots again.
func Accel(ctx context.Context) (string, error) {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return tcg, nil
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(stateRoot, 0o700); err != nil {
		return "", err
	}
	note := filepath.Join(filepath.Dir(stateRoot), "accel-"+strings.TrimSpace(string(boot)))
	lock, err := waitFlock(ctx, note+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if b, err := os.ReadFile(note); err == nil {
		return string(b), nil
	}
	accel := tcg
	if err := probeKVM(ctx, probeBound); err == nil {
		accel = kvm
	} else if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return accel, os.WriteFile(note, []byte(accel), 0o600)
}

// NoKVM is what is said of a host where Accel is not KVM: see Emulates.
const NoKVM = "no usable KVM on this host: QEMU emulates the machines (TCG), many times slower than they would run"

// Emulates reports whether QEMU interprets a machine's instructions under an accelerator.
func Emulates(accel string) bool { return strings.HasPrefix(accel, "tcg") }

// probeKVM boots a kernel whose init powers the machine off at once.
func probeKVM(ctx context.Context, bound time.Duration) error {
	k, err := kernel.Get(ctx, filepath.Join(CacheDir(), "kernels"), "6.1")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lazystate-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := image.New()
	b.AddFile("/bin/busybox", "/bin/busybox", 0o755)
	b.AddBytes("/init", []byte("#!/bin/busybox sh\n/bin/busybox poweroff -f\n"), 0o755)
	initrd := filepath.Join(dir, "initrd")
	if err := b.WriteTo(initrd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	return exec.CommandContext(ctx, qemuCommand, "-accel", kvm, "-machine", "q35", "-cpu", "max", "-m", "256",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", k.Vmlinux(), "-initrd", initrd, "-append", "quiet panic=-1").Run()
}
