// SPDX-License-Identifier: Apache-2.0

// Command ttcp is the TTCP of §2.7.1: a server that sends a stream, from one
// process or through two, and takes a snapshot after each 8 KB, eagerly or
// lazily, of a state of so many bytes; and the client that reads it, checks each
// byte and says how fast that was.
//
//	ttcp serve --keeper S --listen :5001 --size 419430400 --state 10240 --lazy
//	ttcp serve --keeper S --processes 2 &  ttcp back --keeper S
//	ttcp back --keeper S --export 0      # Figure 2.10: the writer takes none
//	ttcp serve --base --processes 2      # without boxes, over a pipe: the base server
//	ttcp serve --keeper S --idle --state 10240 --channels 3   # Table 2.1: no data
//	ttcp read localhost:5001
//
// The trap: with --lazy the state is made in the box and never copied, as the
// paper's registered buffers are, but each export still takes a checksum of all
// of it; and no more is sent at once than --write, so what is measured is a
// write of 8 KB with and without an export, not TCP.
package main
