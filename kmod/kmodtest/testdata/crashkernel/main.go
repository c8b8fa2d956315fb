// SPDX-License-Identifier: Apache-2.0

// Crashkernel loads the kernel that is to replace this one when it panics, or
// now.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], len(os.Args) > 4 && os.Args[4] == "now"); err != nil {
		fmt.Fprintln(os.Stderr, "crashkernel:", err)
		os.Exit(1)
	}
}

func run(kernel, initrd, cmdline string, now bool) error {
	k, err := os.Open(kernel)
	if err != nil {
		return err
	}
	defer k.Close()
	i, err := os.Open(initrd)
	if err != nil {
		return err
	}
	defer i.Close()
	flags := unix.KEXEC_FILE_ON_CRASH
	if now {
		flags = 0
	}
	if err := unix.KexecFileLoad(int(k.Fd()), int(i.Fd()), cmdline, flags); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	if now {
		return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
	}
	return nil
}
