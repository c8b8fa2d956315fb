// SPDX-License-Identifier: Apache-2.0

// Package store keeps a node's checkpoints (§4.4.1) on stable storage: a folder a
// node, and in it a folder a checkpoint. What it says is saved is there whole after
// a crash at any moment.
//
//	lock         held by the process whose store it is
//	window       JSON: the incarnation, and which checkpoints are kept (p_ckp, §4.4.3)
//	ckpt-7/      checkpoint 7
//	  manifest   JSON: T_ckp, V_H, and size and CRC32C of each file
//	  state      dsm/wire: the logs, and all else but the pages
//	  private    the program's private state, as it was given
//	  index      where each homed page lies, its version and its CRC32C
//	  pages-7    pages that were written since checkpoint 6, one behind the other
//	  pages-5    a link to the file of checkpoint 5: pages that are as they were then
//	new-8/       a checkpoint that is not whole yet, or never will be
//	old-3/       one that nobody needs, on its way out
//	damaged-7/   one that could not be read, until there is a checkpoint 7 again
//
// A checkpoint is written beside, made safe, and given its name; then the window is
// replaced by one that has it. A file of pages goes with the last checkpoint that
// links to it (CGC); one that has become mostly waste is not linked to any more.
//
// JSON files end with a line that has their CRC32C. What is read is bounded by what
// a cluster of this size can have, and checked before it is believed.
//
// A store may have copies, whole folders on other disks: at a peer's, or where all
// hosts reach them. A checkpoint is saved when it is in each. A node that is
// restarted elsewhere finds it there, and a folder that lacks something is given it.
//
// The trap: what is older than the last checkpoint may be what others recover by.
// So a checkpoint that is damaged stays in the window, with pages that cannot be
// read, instead of being left out: else a page from before it would be taken for it,
// and nobody has the diffs between them any more.
//
//	s, err := store.Open(cfg, "/var/lib/lazystate/dsm/job7/node-2")
//	if err != nil {
//		return err
//	}
//	inc, past, err := s.Begin()
//	if err != nil {
//		return err
//	}
//	n, effects := dsm.Restart(cfg, mem, past.State, past.Window, inc)
//	...
//	err = s.Save(e.State, private) // dsm.Saved, or dsm.NotSaved
package store
