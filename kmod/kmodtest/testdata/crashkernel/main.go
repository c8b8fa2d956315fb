// SPDX-License-Identifier: Apache-2.0

// Crashkernel loads the kernel that is to replace this one when it panics.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "crashkernel:", err)
		os.Exit(1)
	}
}

func run(kernel, initrd, cmdline string) error {
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
	if err := unix.KexecFileLoad(int(k.Fd()), int(i.Fd()), cmdline, unix.KEXEC_FILE_ON_CRASH); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	return nil
}
