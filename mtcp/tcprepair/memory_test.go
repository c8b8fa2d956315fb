// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

// tight leaves TCP as a whole no page more than it has, until loose.
func tight(t *testing.T) (loose func()) {
	t.Helper()
	const limit = "/proc/sys/net/ipv4/tcp_mem"
	was, err := os.ReadFile(limit)
	if err != nil {
		t.Fatal(err)
	}
	set := func(s string) {
		if err := os.WriteFile(limit, []byte(s), 0o644); err != nil {
			t.Error(err)
		}
	}
	set("1 1 1")
	loose = func() { set(string(was)) }
	t.Cleanup(loose)
	return loose
}

// ballast is what TCP has beside the session that moves: each processor has a
// mebibyte that does not count yet (include/net/sock.h, SK_MEMORY_PCPU_RESERVE).
func (w *world) ballast() {
	w.t.Helper()
	_, server := w.connect("tcp4")
	buffer(w.t, server, unix.SO_SNDBUFFORCE, 16<<20)
	sendPart(w.t, server, downStream, 0, 8<<20)
}

func buffer(t testing.TB, c *net.TCPConn, opt, n int) {
	t.Helper()
	do(t, c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, n) })
}

// Where TCP has no memory left a session cannot come, which is said by name and
// costs it nothing; where somebody gives memory back in time, it comes. What was
// not sent yet waits for Live, when there is no way back: that goes in.
func TestNoMemoryLeft(t *testing.T) {
	if !lab.InGuest() {
		t.Skip("net.ipv4.tcp_mem is the whole machine's: TestOnKernels has one of its own")
	}
	const up, down = 50_000, 300_000
	w := newWorld(t, false)
	w.ballast()
	client, server := w.connect("tcp4")
	buffer(t, server, unix.SO_SNDBUFFORCE, 4*down)
	sendPart(t, client, upStream, 0, up)
	await(t, "the data", func() bool {
		return length(t, server, unix.SIOCINQ) == up
	})
	sendPart(t, server, downStream, 0, down)
	f, d := w.freeze(server)
	loose := tight(t)
	w.servers[1].Do(func() error {
		if _, err := w.stacks[1].Restore(d); !errors.Is(err, ErrMemory) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	loose()
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	f, d = w.freeze(server)
	loose = tight(t)
	w.stacks[1].wait = hang
	time.AfterFunc(20*time.Millisecond, loose)
	r := w.restore(d)
	loose = tight(t)
	w.switchTo(1)
	moved := w.live(r)
	loose()
	if d.sent() == len(d.Out) {
		t.Error("there was nothing to be forced in")
	}
	if err := f.Discard(); err != nil {
		t.Fatal(err)
	}
	getPart(t, moved, upStream, 0, up)
	getPart(t, client, downStream, 0, down)
	exchange(t, client, moved)
}
