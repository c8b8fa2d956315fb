// SPDX-License-Identifier: Apache-2.0

// Package keyfile reads the files that monitors' keys lie in: one key of 32 hex
// digits on the monitor, a line "slot key" for each monitor on the target and
// beside it (docs/security.md).
//
// The trap: who can read such a file is that monitor, so one that others than its
// owner may read is refused, and so is what is no regular file.
//
//	key, err := keyfile.One("/etc/lazystate/keys/t1")
//	if err != nil {
//		return err
//	}
//	slots, err := keyfile.Slots("/etc/lazystate/keys/all", uapi.Monitors)
//	for _, s := range slots {
//		fmt.Println(s.Slot)
//	}
package keyfile
