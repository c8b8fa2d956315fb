// SPDX-License-Identifier: Apache-2.0

// Package transport carries the DSM's messages between nodes (§4.3.2): what a node
// is given to send comes, in order and once, unless one of the two incarnations
// dies. A link is one connection; when that breaks it is made anew, and what was not
// acknowledged is sent again.
//
//	tcp    a socket; TLS 1.3 if the peer is not on this host's loopback
//	unix   shared memory on one host: a ring for each direction, and the socket only
//	       to hear of the other's death
//	verbs  an RDMA connection of package verbs (ListenRDMA): bytes in SENDs, TLS as over tcp
//
// What a node lays out (dsm/shelf) its peers read without it over the last two: out of
// memory that both have, or by one-sided READs of registered memory, which take none of
// the home's processor's time. A Look over RDMA is answered later, by Receiver.Found.
//
// Who connects says HELLO and proves that it has the run's key; so does the other.
// Then frames, little-endian:
//
//	length:4 kind:1 0:3 ack:8 crc32c:4 (of these), then a message as dsm/wire has it
//
// The ack is the last message that was heard, as dsm.Message numbers them between
// two incarnations. An incarnation that is superseded is told so and heard no more; so is
// one that has lived before and does not know, for its checkpoints are elsewhere.
//
// Who is silent for Config.Silence is lost: several beats, as internal/sampling
// plans them, must have been lost for that.
//
// Sockets here are blocking ones, read on threads of their own: Go's poller costs
// 20 us a hop, three times what the hop takes, and the program at the other end
// waits for its page.
//
// TLS does not cover pages that are read one-sided: RoCE is clear text, and whoever is on
// that network can read, with luck, and write marks (docs/security.md).
//
// The trap: Send is called with the node's lock held and must not wait, for the peer
// that should read may be in its own Send. So it writes what the socket takes and
// leaves the rest to the link's writer; or all to Flush, which is called without that
// lock, for a thread that is woken takes the CPU. And Deliver takes that lock: nothing
// here calls it while it holds one of its own.
//
//	t, err := transport.New(transport.Config{
//		Cluster: cfg, Incarnation: inc, Key: key, Listeners: listeners, Address: addressOf, Silence: 5 * time.Second,
//	}, receiver)
//	if err != nil {
//		return err
//	}
//	defer t.Close()
//	if err := t.Ready(ctx); err != nil { // before dsm.Restart
//		return err
//	}
//	t.Send(e.Message) // of dsm.Send
//	t.Flush()
package transport
