// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

func noDelay(t *testing.T, c *Conn) (on bool) {
	t.Helper()
	if err := control(c.tcp, func(fd int) error {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		on = v != 0
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return on
}

// §2.5.3: each action, a death right after it, and the replay that repeats it.
func TestActionsAcrossADeath(t *testing.T) {
	t.Run("setsockopt", func(t *testing.T) {
		_, c := accepted(t, Config{})
		check := func(c *Conn) {
			for _, on := range []bool{false, true, false} {
				if err := c.SetNoDelay(on); err != nil {
					t.Fatal(err)
				}
			}
		}
		check(c)
		c = again(t, c, Config{})
		if err := control(c.tcp, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }); err != nil {
			t.Fatal(err)
		}
		check(c) // swallowed: somebody would see the option go off and on
		if !noDelay(t, c) {
			t.Error("a repeated setsockopt was done again")
		}
		if err := c.SetNoDelay(false); err != nil || noDelay(t, c) {
			t.Errorf("a new one was not: %v", err)
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		client, c := accepted(t, Config{})
		send(t, c, "last")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		get(t, client, "last")
		atEnd(t, client)
		n := again(t, c, Config{})
		send(t, n, "last") // swallowed
		if err := n.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Write([]byte("more")); !errors.Is(err, unix.EPIPE) {
			t.Errorf("write after shutdown: %v", err)
		}
		send(t, client, "still open this way")
		get(t, n, "still open this way")
	})
	t.Run("shutdown before the snapshot", func(t *testing.T) {
		client, c := accepted(t, Config{})
		send(t, c, "last")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		export(t, c, "shut")
		export(t, c, "shut, again")
		n := again(t, c, Config{})
		if _, err := n.Write([]byte("more")); !errors.Is(err, unix.EPIPE) {
			t.Errorf("write after shutdown: %v", err)
		}
		get(t, client, "last")
		atEnd(t, client)
	})
	t.Run("shutdown read", func(t *testing.T) {
		_, c := accepted(t, Config{})
		if err := c.CloseRead(); err != nil {
			t.Fatal(err)
		}
		n := again(t, c, Config{})
		if err := n.CloseRead(); err != nil {
			t.Fatal(err)
		}
		atEnd(t, n)
	})
	t.Run("linger", func(t *testing.T) {
		_, c := accepted(t, Config{})
		if err := c.SetLinger(7); err != nil {
			t.Fatal(err)
		}
		export(t, c, "")
		b, err := OpenBox(c.Region())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		h, err := b.Head()
		if err != nil {
			t.Fatal(err)
		}
		opts, err := h.Options()
		if err != nil || len(opts) != 1 || opts[0].Name != unix.SO_LINGER || binary.NativeEndian.Uint32([]byte(opts[0].Value)[4:]) != 7 {
			t.Errorf("the box has %v, %v", opts, err)
		}
	})
	t.Run("close", func(t *testing.T) {
		client, c := accepted(t, Config{})
		kept := dup(t, c.tcp)
		r := keptRegion(t, c)
		send(t, c, "bye")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(r, kept, Config{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed session is resumed: %v", err)
		}
		get(t, client, "bye")
		atEnd(t, client) // although the keeper still has the socket
	})
}

// keptRegion is the keeper's own descriptor of a box.
func keptRegion(t *testing.T, c *Conn) Region {
	t.Helper()
	r := c.Region()
	fd, err := unix.FcntlInt(r.File.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.File = newFile(fd)
	t.Cleanup(func() { r.File.Close() })
	return r
}

// Another action than before is a replay that went another way.
func TestActionsDiverge(t *testing.T) {
	_, c := accepted(t, Config{})
	if err := c.SetNoDelay(false); err != nil {
		t.Fatal(err)
	}
	n := again(t, c, Config{})
	var diverged *mtcp.DivergedError
	if err := n.SetNoDelay(true); !errors.As(err, &diverged) {
		t.Errorf("got %v", err)
	}
	send(t, n, "x")
	if err := n.SetNoDelay(false); !errors.As(err, &diverged) {
		t.Errorf("at another place: %v", err)
	}
}

func TestActionsAreBounded(t *testing.T) {
	_, c := accepted(t, Config{})
	for range uapi.CboxActs {
		if err := c.SetKeepAlive(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetKeepAlive(true); !errors.Is(err, ErrLogFull) {
		t.Errorf("one too many: %v", err)
	}
	export(t, c, "")
	if err := c.SetKeepAlive(false); err != nil {
		t.Errorf("after an export: %v", err)
	}
	var size *SizeError
	if err := c.SetOption(unix.IPPROTO_TCP, unix.TCP_CONGESTION, make([]byte, 17)); !errors.As(err, &size) {
		t.Errorf("a long value: %v", err)
	}
	if err := c.SetOption(unix.IPPROTO_TCP, 9999, []byte{1}); err == nil {
		t.Error("an unknown option was set")
	}
	h, err := readHead(c.m)
	if err != nil || h.Actions != uapi.CboxActs+1 {
		t.Errorf("%d actions are recorded, %v", h.Actions, err)
	}
}

// In a nondeterministic interval a FIN is output like any other.
func TestShutdownIsHeld(t *testing.T) {
	client, c := accepted(t, Config{})
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, c, "6")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	nothing(t, client)
	n := again(t, c, Config{}) // neither has happened
	send(t, n, "1")
	if err := n.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	nothing(t, client)
	export(t, n, "")
	get(t, client, "1")
	atEnd(t, client)
}

// Close is an export: what is held goes out before the end.
func TestCloseReleasesOutput(t *testing.T) {
	client, c := accepted(t, Config{})
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, c, "held")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	get(t, client, "held")
	atEnd(t, client)
}

// Killed after the last snapshot of Close, before anything went out: the
// keeper finishes what nobody resumes.
func TestKeeperFinishes(t *testing.T) {
	client, c := accepted(t, Config{})
	kept := dup(t, c.tcp)
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, c, "held")
	b, err := OpenBox(keptRegion(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Finish(kept); err == nil {
		t.Error("a session that was not closed is finished")
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(c.Region(), kept, Config{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is resumed: %v", err)
	}
	if done, err := b.Finish(kept); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	get(t, client, "held")
	atEnd(t, client)
	if b.State() != uapi.CboxClosed {
		t.Errorf("state %d", b.State())
	}
	if err := b.Freeze(nil, time.Second); err != nil || b.State() != uapi.CboxLeaving {
		t.Errorf("what its root has closed, and the client may not have, cannot go: %v", err)
	}
}

// A session that its root gave up, for it could not go on, goes nowhere.
func TestGivenUpIsNotFrozen(t *testing.T) {
	_, c := accepted(t, Config{})
	b, err := OpenBox(c.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.set(uapi.CboxClosed)
	if err := b.Freeze(nil, time.Second); err == nil {
		t.Error("it is frozen")
	}
}

// A client that reads slowly does not hold up Close, and gets everything.
func TestCloseWithAFullSocket(t *testing.T) {
	client, c := accepted(t, Config{Hold: 1 << 20})
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	total := 0
	for {
		n, err := c.Write(make([]byte, 1<<16))
		total += n
		if err != nil {
			break
		}
	}
	_ = c.SetWriteDeadline(time.Time{})
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	n, err := c.Write(make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	total += n
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, client)
	if err != nil || int(got) != total {
		t.Errorf("the client got %d of %d, %v", got, total, err)
	}
}
