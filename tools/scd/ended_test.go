// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

const halfPort = port + 1

// half is a server that closes its sending half first, or does something else to a
// connection, and then closes that.
func half(servers string, serve func(*cbox.Conn) (rest []byte, err error)) error {
	client, err := keeper.Dial(servers, "half")
	if err != nil {
		return err
	}
	l, err := client.Listen(context.Background(), "tcp", fmt.Sprintf("[::]:%d", halfPort), cbox.Config{})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "serving")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			rest, err := serve(c.(*cbox.Conn))
			fmt.Fprintf(os.Stderr, "rest %q, %v, %v\n", rest, err, c.Close())
		}()
	}
}

// halved serves one request, which is four bytes: whether the answer waits for the rest (z),
// and how many KiB there are to it beside the first word. It closes its sending half after
// that, and reads the rest if it has not. One that stays does not come to that.
func halved(c *cbox.Conn, stays bool) (rest []byte, err error) {
	var request [4]byte
	if _, err := io.ReadFull(c, request[:]); err != nil {
		return nil, err
	}
	last := request[0] == 'z'
	if last {
		if rest, err = io.ReadAll(c); err != nil {
			return nil, err
		}
	}
	kib, err := strconv.Atoi(string(request[1:]))
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(halfAnswer(kib)); err != nil {
		return nil, err
	}
	if err := c.CloseWrite(); err != nil {
		return nil, err
	}
	if stays {
		select {}
	}
	if last {
		return rest, nil
	}
	return io.ReadAll(c)
}

// halfAnswer is what it answers.
func halfAnswer(kib int) []byte {
	much := make([]byte, kib<<10)
	pattern(much, 0)
	return append([]byte("hello"), much...)
}

func (s *site) startHalf(env ...string) *process {
	s.t.Helper()
	return s.startAs("half", env...)
}

// startAs starts a server of that service.
func (s *site) startAs(role string, env ...string) *process {
	s.t.Helper()
	p := s.start(role, nil, append(env, "SCD_SERVERS="+s.path("servers"))...)
	s.await("the server", func() bool { return strings.Contains(p.log.String(), "serving") })
	return p
}

// Both ends have closed a connection, and its process has not read what had come. That
// goes nowhere: a move of the address and drains leave it, and are content; when its
// process is killed, and the daemon too, the next process reads it to its end here.
func TestEndedSessionStays(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2"}, half: true}).build(false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	first := s1.startHalf("SCD_STAYS=1")
	s2.startHalf()
	c := w.dialPort(halfPort).(*net.TCPConn)
	if _, err := io.WriteString(c, "0000"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Fatalf("the client got %q, %v", got, err)
	}
	if _, err := io.WriteString(c, "456789"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	ended := func() bool { all := s1.ls(); return len(all) == 1 && all[0].Ended }
	s1.await("the end of the connection", ended)
	for _, by := range []string{"client", "takeover"} {
		if out, err := s1.ask("drain", "--to", "s2", "--by", by); err != nil || strings.Contains(out, "stayed") {
			t.Errorf("drain by %s: %v\n%s", by, err, out)
		}
		if !ended() {
			t.Fatalf("after a drain by %s s1 has %+v", by, s1.ls())
		}
	}
	if all := s2.ls(); len(all) != 0 || !w.has("s2") {
		t.Errorf("s2 has %+v, and the address: %t", all, w.has("s2"))
	}
	first.kill()
	s1.await("the end of its process", func() bool { return ended() && s1.ls()[0].PID == 0 })
	s1.scd.kill()
	s1.startSCD()
	s1.await("the session that waits", ended)
	next := s1.startHalf()
	s1.await("the rest", func() bool { return strings.Contains(next.log.String(), `rest "456789", <nil>, <nil>`) })
	s1.await("the session's end", func() bool { return len(s1.ls()) == 0 })
}
