// SPDX-License-Identifier: Apache-2.0

// Package image builds the initramfs of a guest: a reproducible newc archive
// of files from the host, with the shared libraries their ELF headers ask for.
//
// The trap: what a program loads by dlopen (libgcc_s for pthread_exit, an RDMA
// provider) stands in no header and must be named.
//
//	b := image.New()
//	b.AddFile("/init", "build/guestinit", 0o755)
//	b.AddBytes("/etc/lab.json", setup, 0o644)
//	if err := b.AddELF("/usr/bin/rping", "/usr/bin/rping"); err != nil {
//		return err // names the library that was not found
//	}
//	if err := b.AddPackage(ctx, cacheDir, "curl"); err != nil {
//		return err
//	}
//	err := b.WriteTo("initrd.cpio")
package image
