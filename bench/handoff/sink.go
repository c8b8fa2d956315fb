// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"

	"lazystate/mtcp/cbox"
	"lazystate/tools/testbed"
)

const (
	sinkArg = "sink"
	service = "ttcp" // of the beds
	piece   = 64 << 10
	buffer  = 256 << 10 // of an uploading client's socket: more would hide that it waits
)

// sinking does not return in a process that is to be a server that reads.
func sinking() {
	if len(os.Args) == 4 && os.Args[1] == sinkArg {
		fmt.Fprintln(os.Stderr, "sink:", sink(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
}

func sink(socket, listen string) error {
	return testbed.Accept(socket, service, listen, cbox.Config{Log: 2 * piece}, swallow) // its end: the client is gone, or it is elsewhere
}

// swallow reads as fast as it can, with a snapshot after each piece.
func swallow(c *cbox.Conn) {
	defer c.Close()
	sum, b := uint64(0), make([]byte, piece)
	if state, ok := c.Import(); ok && len(state) == 8 {
		sum = binary.LittleEndian.Uint64(state)
	}
	for {
		n, err := c.Read(b)
		sum += uint64(n)
		if err != nil || c.Export(binary.LittleEndian.AppendUint64(nil, sum)) != nil {
			return
		}
	}
}

// writes goes on writing, and tells of each piece that the socket has taken.
func writes(conn net.Conn, w *watch) {
	for b := make([]byte, piece); ; {
		if _, err := conn.Write(b); err != nil {
			return // a client that is gone writes no more
		}
		_, _ = w.Write(nil)
	}
}
