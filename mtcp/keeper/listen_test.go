// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/freeport"
	"lazystate/mtcp/cbox"
)

// A process that has no descriptor left for a while goes on accepting, and taking
// sessions of others, when it has some again.
func TestListenerGoesOnAfterErrors(t *testing.T) {
	for _, tell := range []bool{true, false} {
		conn := newConn(t)
		l, n := &Listener{begin: func() {}, got: make(chan accepted), stop: make(chan struct{})}, 0
		accept := func() (net.Conn, error) {
			switch n++; n {
			case 1:
				return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", unix.EMFILE)}
			case 2:
				return conn, nil
			}
			return nil, net.ErrClosed
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run(accept, tell)
		}()
		if tell {
			if _, err := l.Accept(); !errors.Is(err, unix.EMFILE) {
				t.Errorf("accept: %v", err)
			}
		}
		if c, err := l.Accept(); err != nil || c != net.Conn(conn) {
			t.Errorf("accept: %v, %v", c, err)
		}
		if tell {
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept: %v", err)
			}
		}
		<-done
	}
}

// A session that cannot go on ends with a reset, and not with one process after the
// other, nor with one that has it for ever.
func TestSessionThatCannotGoOn(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			k, socket := kept(t, Config{})
			port := freeport.Pick(t)
			started(t, "front", lang, socket, port)
			started(t, "back", lang, socket, port)
			l := must(cbox.Listen(t.Context(), "tcp", "127.0.0.1:0", cbox.Config{}))
			defer l.Close()
			client := dial(t, l.Addr().(*net.TCPAddr).Port)
			box, conn := carriedOn(t, must(l.AcceptTCP()))
			b := must(unix.Mmap(int(box.Region().File.Fd()), 0, int(box.Region().Length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
			binary.LittleEndian.PutUint64(b[uapi.CboxHeadReadOff:], 1<<40) // so much nobody has read
			if err := errors.Join(unix.Munmap(b), adopt(k, uint32(os.Getuid()), "front", box, conn)); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the client: %v", err)
			}
			if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
				t.Error("it is still held")
			}
			if _, err := converse(dial(t, port), 0, 10, 0); err != nil {
				t.Errorf("another client: %v", err)
			}
		})
	}
}
