// SPDX-License-Identifier: Apache-2.0

// Package kernel gives the lab Debian's kernels: resolved from the
// meta-packages at run time, downloaded and unpacked into a cache by version,
// never installed.
//
// The traps: linux-headers of 6.12 depend on the image package, so installing
// the headers would install a kernel on the host: they are unpacked too, and
// their makefiles' absolute paths rewritten. A kernel with PVH entry boots
// fastest as an uncompressed vmlinux, which sits inside vmlinuz in one of
// several compressions; booted that way KASLR does not happen.
//
//	k, err := kernel.Get(ctx, cacheDir, "6.12")
//	if err != nil {
//		return err
//	}
//	fmt.Println(k.Release, k.Version)      // 6.12.x+deb12-amd64, 6.12.x-1~deb12u1
//	mods, err := k.ModulePaths("rdma_rxe") // with dependencies, in order of insertion
//	if err != nil {
//		return err
//	}
//	build := k.HeadersDir()                // make -C build M=...
package kernel
