// SPDX-License-Identifier: Apache-2.0

package keeper_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// What docs/sessions.md shows is here, word for word, and is run.

func addUp(c *cbox.Conn) error {
	var sum uint64
	if b, ok := c.Import(); ok {
		sum = binary.LittleEndian.Uint64(b)
	}
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return c.Close()
		}
		sum += binary.LittleEndian.Uint64(buf)
		c.Write(binary.LittleEndian.AppendUint64(nil, sum))
		c.Export(binary.LittleEndian.AppendUint64(nil, sum)) // the request has been used, the answer is written
	}
}

func lines(c *cbox.Conn) error {
	held, _ := c.Import() // what was read and is not written on yet
	for buf := make([]byte, 4096); ; {
		n, err := c.Read(buf)
		if err != nil {
			return c.Close()
		}
		held = append(held, buf[:n]...)
		whole := bytes.LastIndexByte(held, '\n') + 1
		c.Write(held[:whole])
		held = held[whole:]
		c.Export(held) // Export(nil) would lose the beginning of a line
	}
}

func dice(c *cbox.Conn) error {
	for buf := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return c.Close()
		}
		c.ExportNDI(nil)                // from here on not all follows from what was read
		fmt.Fprintln(c, 1+rand.IntN(6)) // is held back: who is killed here draws again, and nobody has seen this
		c.Export(nil)                   // it counts, and goes out
	}
}

func front(client *keeper.Client, c *cbox.Conn) error {
	child, err := c.Associate("back", 1) // a replay gets the same one
	if err != nil {
		return err
	}
	if err := client.Hand(c.Session, child); err != nil {
		return err
	}
	back := child.Channels[0]
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			back.CloseWrite()
			return c.Close()
		}
		back.Write(buf)
		if _, err := io.ReadFull(back, buf); err != nil {
			return err
		}
		c.Write(buf)
		c.Export(nil) // nothing is under way: all there is to know is the other's
	}
}

func back(client *keeper.Client) error {
	for {
		p, err := client.Take() // a slot of any session
		if err != nil {
			return err
		}
		s, err := cbox.Open(p.Region, p.Slot, client.Config(cbox.Config{}))
		if err == nil {
			go backOf(s)
		}
	}
}

func backOf(s *cbox.Session) error {
	var sum uint64
	if b, ok := s.Import(); ok {
		sum = binary.LittleEndian.Uint64(b)
	}
	front := s.Channels()[0]
	for buf := make([]byte, 8); ; {
		if _, err := io.ReadFull(front, buf); err != nil {
			return s.Close()
		}
		sum += binary.LittleEndian.Uint64(buf)
		front.Write(binary.LittleEndian.AppendUint64(nil, sum))
		s.Export(binary.LittleEndian.AppendUint64(nil, sum))
	}
}

func numbers(l *keeper.Listener) error {
	for {
		conn, err := l.Accept() // new, or left behind by a process that died, or from elsewhere
		if err != nil {
			return err
		}
		if c, ok := conn.(*cbox.Conn); ok {
			go addUp(c)
			continue
		}
		conn.Close() // it cannot be moved, or is beyond a limit: serve it as it is, or not
	}
}

// The servers of docs/sessions.md.
func Example() {
	dir, err := os.MkdirTemp("", "scd")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "scd.sock")
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	check(err)
	k := keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)})
	go k.Serve(socket)
	defer k.Close()
	defer socket.Close()
	client, err := keeper.Dial(path, "front")
	check(err)
	defer client.Close()
	behind, err := keeper.Dial(path, "back")
	check(err)
	defer behind.Close()
	go back(behind)

	l, err := client.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	check(err)
	defer l.Close()
	go numbers(l)
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	say(c, 2, 3)
	c = served(client, func(c *cbox.Conn) error { return front(client, c) })
	say(c, 2, 3)
	c = served(client, lines)
	fmt.Fprintf(c, "one line\nand half")
	b := make([]byte, 9)
	io.ReadFull(c, b)
	fmt.Printf("%q\n", b)
	c = served(client, dice)
	fmt.Fprintf(c, "?")
	io.ReadFull(c, b[:2])
	fmt.Println(b[0] >= '1' && b[0] <= '6')
	// Output:
	// 2
	// 5
	// 2
	// 5
	// "one line\n"
	// true
}

// served connects to a server of its own.
func served(client *keeper.Client, server func(*cbox.Conn) error) net.Conn {
	l, err := cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", client.Config(cbox.Config{Processes: 2, Channels: 1}))
	check(err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	conn, err := l.Accept()
	check(err)
	go server(conn.(*cbox.Conn))
	return c
}

// say sends numbers and prints the answers.
func say(c net.Conn, all ...uint64) {
	for _, n := range all {
		b := binary.LittleEndian.AppendUint64(nil, n)
		c.Write(b)
		io.ReadFull(c, b)
		fmt.Println(binary.LittleEndian.Uint64(b))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
