// SPDX-License-Identifier: Apache-2.0

package cbox_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"lazystate/mtcp/cbox"
)

// A server that adds up numbers, and the process that takes its place: it goes
// on with the sum, and the client has one session.
func Example() {
	l, err := cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	c := conn.(*cbox.Conn)
	socket, region := cbox.KeepersCopies(c) // what a keeper holds

	go addUp(c)
	fmt.Println(add(client, 2), add(client, 3))

	c, err = cbox.Resume(region, socket, cbox.Config{}) // another process, and not a friendly take-over
	if err != nil {
		fmt.Println(err)
		return
	}
	go addUp(c)
	fmt.Println(add(client, 4))
	// Output:
	// 2 5
	// 9
}

func addUp(c *cbox.Conn) {
	var sum uint64
	if b, ok := c.Import(); ok {
		sum = binary.LittleEndian.Uint64(b)
	}
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return // ErrMigrated: another one has it
		}
		sum += binary.LittleEndian.Uint64(buf)
		_, _ = c.Write(binary.LittleEndian.AppendUint64(nil, sum))
		_ = c.Export(binary.LittleEndian.AppendUint64(nil, sum))
	}
}

func add(client net.Conn, n uint64) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, n)
	_, _ = client.Write(b)
	_, _ = io.ReadFull(client, b)
	return binary.LittleEndian.Uint64(b)
}
