// SPDX-License-Identifier: Apache-2.0

// Package extract reads TCP sockets out of a dead kernel's memory (§3.6.5,
// §3.9.1): tcp_sock, receive queue, write queue and retransmission tree, through
// sk_buffs and pages, by the offsets of the target's manifest and the batched
// reads of package backdoor. What comes out is what tcprepair restores.
//
// All sockets are read at once, level by level; a list is read from both ends.
// Everything read is hostile until checked: addresses, sizes, lists that go round.
//
// A socket is often caught half-updated, and that is no damage. Its lock says
// whether somebody was inside. If nobody was, queues and numbers must agree. If
// somebody was, the rules of reconcile apply: the queues outrank the socket's
// numbers; what was received ends where the queue does, and the peer sends the
// rest again; what may have been sent counts as sent; bytes that are being moved
// at that moment are a Hole, which is a loss only if the peer, once asked, does not
// have them.
//
// The trap: the peer's view decides. What was acknowledged to it must be there, and
// what it may have got must not be taken for unsent: an acknowledgement beyond MAX
// is thrown away for ever. The second trap is counts: bytes_received and rcv_nxt are
// stored one after the other, so a held socket's are of two moments. See Positions.
//
//	x, err := extract.New(target, extract.Limits{})
//	found, err := x.Extract(ctx, socks) // addresses of struct sock, from the directory
//	for _, f := range found {
//		if f.Err != nil {
//			log(f.Sock, f.Err) // named, with the reason
//			continue
//		}
//		restored, err := stack.Restore(f.Dump)
//	}
package extract
