// SPDX-License-Identifier: Apache-2.0

// Package wire is the language spoken over the virtio-serial port between the
// lab on the host and guestinit in the guest: frames, requests and replies.
//
// The trap: a guest may be reset in the middle of a frame, in either
// direction, and the port carries on as if nothing had happened. So every
// frame starts with a magic word and carries checksums of its header and its
// body, a reader that sees neither looks for the next magic word, and a guest
// says Hello after a preamble of zeros longer than any frame, which pushes the
// torn one out.
//
//	w := wire.NewWriter(port)
//	w.WriteJSON(wire.KindRequest, 1, wire.Request{Op: wire.OpPing})
//	r := wire.NewReader(port)
//	f, err := r.Next()
//	if err != nil {
//		return err // the port is gone; damage is skipped silently
//	}
//	var reply wire.Reply
//	err = json.Unmarshal(f.Body, &reply)
package wire
