// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/tools/testbed"
)

const (
	service  = "stream"
	serveArg = "serve"
	chunk    = 1 << 10
	healthy  = 32                   // KB to a client before the server begins to decay
	interval = 4 * time.Millisecond // between chunks until then
)

// serve is the synthetic server: of so many bytes a snapshot, and so many KB for
// each client.
func serve(socket, listen, snapshot, kb string) int {
	size, err := strconv.Atoi(snapshot)
	n, err2 := strconv.Atoi(kb)
	if err = errors.Join(err, err2); err == nil {
		err = stream(socket, listen, size, n)
	}
	fmt.Fprintln(os.Stderr, "serve:", err)
	return 1
}

func stream(socket, listen string, snapshot, kb int) error {
	return testbed.Accept(socket, service, listen, cbox.Config{Snapshot: snapshot}, func(c *cbox.Conn) {
		send(c, make([]byte, snapshot), kb) // its end: the client is gone, or it is elsewhere
	})
}

// send goes on where the snapshot says. What it has sent itself is new with it: so
// a server that gets a client back is as good as before.
func send(c *cbox.Conn, snapshot []byte, kb int) {
	defer c.Close()
	pos := uint64(0)
	if b, ok := c.Import(); ok {
		pos = binary.LittleEndian.Uint64(b)
	}
	piece, next := make([]byte, chunk), time.Now()
	for sent := 1; pos < uint64(kb)*1024; sent++ {
		if _, err := c.Write(piece); err != nil {
			return
		}
		pos += chunk
		binary.LittleEndian.PutUint64(snapshot, pos)
		if err := c.ExportEager(snapshot); err != nil {
			return
		}
		next = next.Add(wait(sent))
		time.Sleep(time.Until(next))
	}
}

// wait is how long a server waits after the chunk with this number, from 1 on.
func wait(n int) time.Duration {
	return interval + interval/8*time.Duration(max(0, n-healthy))
}

// decayed is how long n chunks of one server take, but for the last one's wait.
func decayed(n int) (sum time.Duration) {
	for i := 1; i < n; i++ {
		sum += wait(i)
	}
	return sum
}
