// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/freeport"
	"lazystate/mtcp/cbox"
)

// answer is what a process is told, nil for nothing at all.
type answer struct {
	b     []byte
	files []*os.File
}

// between stands between processes and a keeper: f hears each request, and answers
// what it likes, with pass what the keeper does.
func between(t *testing.T, socket string, f func(q *uapi.ScdRequest, files []*os.File, pass func() *answer) *answer) (path string) {
	t.Helper()
	at := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "between"), Net: "unixpacket"}
	l := must(net.ListenUnix("unixpacket", at))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go relay(c, must(net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})), f)
		}
	}()
	return at.Name
}

func relay(c, keeper *net.UnixConn, f func(*uapi.ScdRequest, []*os.File, func() *answer) *answer) {
	defer c.Close()
	defer keeper.Close()
	for b := make([]byte, uapi.ScdRequestSize); ; {
		n, files, err := message(c, b)
		if err != nil {
			return
		}
		a := f(must(parse(b[:n], len(files))), files, func() *answer { return exchanged(keeper, b[:n], files) })
		closeAll(files)
		if a != nil {
			_, _, _ = c.WriteMsgUnix(a.b, rights(a.files), nil) // it may be dead
			closeAll(a.files)
		}
	}
}

func exchanged(keeper *net.UnixConn, b []byte, files []*os.File) *answer {
	if _, _, err := keeper.WriteMsgUnix(b, rights(files), nil); err != nil {
		panic(err)
	}
	a := make([]byte, uapi.ScdAnswerSize)
	n, got, err := message(keeper, a)
	if err != nil {
		panic(err)
	}
	return &answer{a[:n], got}
}

func rights(files []*os.File) []byte {
	if len(files) == 0 {
		return nil
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	return unix.UnixRights(fds...)
}

func isListening(f *os.File) bool {
	return must(unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)) != 0
}

// A process is killed when its socket is bound: the keeper has it or is about to, and
// it does not listen. Nobody who is connected is lost, and the next one goes on.
func TestKilledBeforeItListens(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		for name, has := range map[string]bool{"and the keeper has it": true, "and the keeper does not have it": false} {
			t.Run(lang+" "+name, func(t *testing.T) { killBeforeItListens(t, lang, has) })
		}
	}
}

func killBeforeItListens(t *testing.T, lang string, has bool) {
	k, socket := kept(t, Config{})
	port := freeport.Pick(t)
	there, killed := make(chan struct{}), make(chan struct{})
	path := between(t, socket, func(q *uapi.ScdRequest, files []*os.File, pass func() *answer) *answer {
		if q.Kind != uapi.ScdListen {
			return pass()
		}
		if has {
			pass()
		}
		close(there)
		<-killed
		return nil
	})
	started(t, "back", lang, socket, port)
	first := started(t, "front", lang, path, port)
	select {
	case <-there:
	case <-time.After(hang):
		t.Fatal("it does not say that it has a socket")
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	first.kill(t)
	close(killed)
	k.mu.Lock()
	for _, l := range k.listeners {
		if isListening(l) {
			t.Error("the keeper had a socket that listens")
		}
	}
	if n := len(k.listeners); has != (n == 1) {
		t.Errorf("the keeper has %d sockets", n)
	}
	k.mu.Unlock()
	started(t, "front", lang, socket, port)
	if err != nil { // refused, as where there is no server
		c = dial(t, port)
	}
	_ = c.SetDeadline(time.Now().Add(2 * hang))
	if _, err := converse(c, 0, 10, 0); err != nil {
		t.Error(err)
	}
	_ = c.Close()
}

// A keeper of an older release takes no socket that does not listen: it is told again.
func TestOlderKeeper(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			k, socket := kept(t, Config{})
			path := between(t, socket, func(q *uapi.ScdRequest, files []*os.File, pass func() *answer) *answer {
				if q.Kind == uapi.ScdListen && !isListening(files[0]) {
					return &answer{b: (&uapi.ScdAnswer{Magic: uapi.ScdMagic, Kind: q.Kind, Error: int32(unix.EPROTOTYPE)}).Encode()}
				}
				return pass()
			})
			port := freeport.Pick(t)
			started(t, "back", lang, socket, port)
			first := started(t, "front", lang, path, port)
			if _, err := converse(dial(t, port), 0, 10, 0); err != nil {
				t.Error(err)
			}
			k.mu.Lock()
			if len(k.listeners) != 1 {
				t.Errorf("it has %d sockets", len(k.listeners))
			}
			k.mu.Unlock()
			first.kill(t)
			c := dial(t, port)
			started(t, "front", lang, path, port)
			if _, err := converse(c, 0, 10, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two processes of a service begin at once, and one port is for both.
func TestTwoBeginAtOnce(t *testing.T) {
	_, socket := kept(t, Config{Listeners: 1})
	address := "127.0.0.1:" + strconv.Itoa(freeport.Pick(t))
	listen := func(c *Client) *Listener {
		t.Helper()
		l, err := c.Listen(t.Context(), "tcp", address, cbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	a := web(t, socket, "web")
	var once sync.Once
	b := web(t, between(t, socket, func(q *uapi.ScdRequest, _ []*os.File, pass func() *answer) *answer {
		got := pass()
		if q.Kind == uapi.ScdListener {
			once.Do(func() { listen(a) }) // b has been told that there is none
		}
		return got
	}), "web")
	if listen(b).Addr().String() != address {
		t.Error("another address")
	}
	late := must(bound(t.Context(), "tcp", "127.0.0.1:0"))
	defer late.Close()
	if err := b.outlive(late); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("a second socket: %v", err)
	}
}

// Of two sockets that are bound the keeper has the first.
func TestSecondThatIsBound(t *testing.T) {
	_, socket := kept(t, Config{})
	address := "127.0.0.1:" + strconv.Itoa(freeport.Pick(t))
	a, b := web(t, socket, "web"), web(t, socket, "web")
	first, second := must(bound(t.Context(), "tcp", address)), must(bound(t.Context(), "tcp", address))
	defer first.Close()
	defer second.Close()
	if err := errors.Join(a.outlive(first), startListening(first)); err != nil {
		t.Fatal(err)
	}
	if err := b.outlive(second); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the second: %v", err)
	}
	l := must(b.Listen(t.Context(), "tcp", address, cbox.Config{}))
	defer l.Close()
}

// A socket that was bound, and whose port somebody else has taken before it could
// listen, is not kept: the error is that of the bind, until that one has gone.
func TestPortTakenMeanwhile(t *testing.T) {
	k, socket := kept(t, Config{Listeners: 1})
	address := "127.0.0.1:" + strconv.Itoa(freeport.Pick(t))
	c := web(t, socket, "web")
	f := must(bound(t.Context(), "tcp", address))
	if err := errors.Join(c.outlive(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	other := must(net.Listen("tcp", address))
	if _, err := c.Listen(t.Context(), "tcp", address, cbox.Config{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the port is another's: %v", err)
	}
	if n := len(k.listeners); n != 0 {
		t.Errorf("it has %d sockets", n)
	}
	_ = other.Close()
	l, err := c.Listen(t.Context(), "tcp", address, cbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// What does not listen has no queue, though it is always ready for something.
func TestQueueOfWhatDoesNotListen(t *testing.T) {
	k, socket := kept(t, Config{})
	c := web(t, socket, "web")
	for range 2 {
		f := must(bound(t.Context(), "tcp", "127.0.0.1:0"))
		defer f.Close()
		if err := c.outlive(f); err != nil {
			t.Fatal(err)
		}
		if ids, err := k.TakeQueue(); len(ids) != 0 || err != nil {
			t.Errorf("bound: %v, %v", ids, err)
		}
		if err := startListening(f); err != nil {
			t.Fatal(err)
		}
		if ids, err := k.TakeQueue(); len(ids) != 0 || err != nil {
			t.Errorf("nobody waits: %v, %v", ids, err)
		}
		_ = unix.Shutdown(int(f.Fd()), unix.SHUT_RD) // by its process, with which it is shared
		if ids, err := k.TakeQueue(); len(ids) != 0 || err != nil {
			t.Errorf("it listens no more: %v, %v", ids, err)
		}
		_ = unix.Shutdown(int(f.Fd()), unix.SHUT_RD) // now there is always an end to be read
		if ids, err := k.TakeQueue(); len(ids) != 0 || !errors.Is(err, unix.EINVAL) {
			t.Errorf("shut: %v, %v", ids, err)
		}
		k.mu.Lock()
		clear(k.listeners)
		k.mu.Unlock()
	}
}

// A bound socket is the one that net would have made.
func TestBoundAsNetDoes(t *testing.T) {
	type socket struct {
		ip      string
		v6only  int
		refused bool
	}
	look := func(l net.Listener, err error) socket {
		if err != nil {
			return socket{refused: true}
		}
		defer l.Close()
		s := socket{ip: l.Addr().(*net.TCPAddr).IP.String()}
		raw := must(l.(*net.TCPListener).SyscallConn())
		_ = raw.Control(func(fd uintptr) { s.v6only, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) })
		return s
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for _, c := range [][2]string{{"tcp", ":0"}, {"tcp", "0.0.0.0:0"}, {"tcp", "[::]:0"}, {"tcp4", ":0"}, {"tcp6", ":0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::]:0"},
		{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"tcp", "[::1%lo]:0"}, {"tcp", "localhost:0"}, {"tcp", "[::ffff:127.0.0.1]:0"}, {"tcp", "192.0.2.1:0"}, {"tcp4", "[::1]:0"}, {"tcp", "nonsense"}} {
		want := look(lc.Listen(t.Context(), c[0], c[1]))
		got := look(func() (net.Listener, error) {
			f, err := bound(t.Context(), c[0], c[1])
			if err != nil {
				return nil, err
			}
			defer f.Close()
			if err := startListening(f); err != nil {
				return nil, err
			}
			return net.FileListener(f)
		}())
		if got != want {
			t.Errorf("%s %s: %+v, net has %+v", c[0], c[1], got, want)
		}
	}
	for _, network := range []string{"unix", "udp"} {
		if _, err := bound(t.Context(), network, filepath.Join(t.TempDir(), "1:1")); err == nil {
			t.Errorf("%s: bound", network)
		}
	}
	for zone, want := range map[string]uint32{"lo": uint32(must(net.InterfaceByName("lo")).Index), "77": 77} {
		if sa := must(listenAddr("tcp6", &net.TCPAddr{Zone: zone})).(*unix.SockaddrInet6); sa.ZoneId != want {
			t.Errorf("zone %s: %d", zone, sa.ZoneId)
		}
	}
	if _, err := listenAddr("tcp6", &net.TCPAddr{Zone: "no such interface"}); err == nil {
		t.Error("a zone that is none")
	}
}
