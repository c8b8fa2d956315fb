// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/escrow"
	"lazystate/tools/lab"
)

// held is an escrow with a holder of this process's.
func held(t testing.TB, path string) (*escrow.Escrow, []escrow.Item) {
	t.Helper()
	e, left, err := escrow.Open(path, func(f *os.File) error {
		l, err := net.FileListener(f)
		if err == nil {
			go func() { // its process would end then
				_ = escrow.Serve(t.Context(), l.(*net.UnixListener), time.Minute)
				_ = l.Close()
			}()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e, left
}

// Whatever lies in escrow and is none of a move that was noted, or makes no sense,
// is taken out and closed, and keeps nobody from starting.
func TestDebrisInEscrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	file := func(text string) int {
		t.Helper()
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return int(f.Fd())
	}
	noted := ID{9}
	about := func(move []byte) []byte {
		b, err := json.Marshal(entrusted{Move: move, StateLen: int64(len(sample.AppendBinary(nil)))})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	state := string(sample.AppendBinary(nil))
	e, _ := held(t, path)
	for i, it := range []struct {
		about []byte
		files []int
	}{
		{[]byte("nonsense"), []int{file("")}},
		{about(noted[:]), []int{file("")}},
		{about(noted[:3]), []int{file(""), file(""), file(state)}},
		{about(noted[:]), []int{file(""), file(""), file(state[:len(state)-1])}},
		{about(make([]byte, len(ID{}))), []int{file(""), file(""), file(state)}}, // of a move that was never to live
	} {
		if err := e.Put(escrow.Deposit{Key: escrow.Key{byte(i)}, About: it.about, FDs: it.files}); err != nil {
			t.Fatal(err)
		}
	}
	_ = e.Close()
	e, left := held(t, path)
	if len(left) != 5 {
		t.Fatalf("%d are left", len(left))
	}
	m := lone(t)
	m.mesh.most = 1 << 20
	m.cfg.Escrow = e
	if err := m.journal.note(noted); err != nil {
		t.Fatal(err)
	}
	m.sortOut(left)
	if len(m.found) != 0 {
		t.Errorf("%d are to live", len(m.found))
	}
	_ = e.Close()
	if _, left := held(t, path); len(left) != 0 {
		t.Errorf("%d are still there", len(left))
	}
	for _, it := range left {
		for _, f := range it.Files {
			if _, err := f.Stat(); err == nil {
				t.Error("a descriptor is still open")
			}
		}
	}
}

// What was being salvaged is of no move that anybody has noted: it is to live.
func TestSalvagedNeedsNoNote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	text := sample.AppendBinary(nil)
	var fds []int
	for _, content := range [][]byte{nil, nil, text} {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		fds = append(fds, int(f.Fd()))
	}
	id := newID()
	about, err := json.Marshal(entrusted{Move: id[:], Salvaged: true, Minimal: true, StateLen: int64(len(text))})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := held(t, path)
	if err := e.Put(escrow.Deposit{Key: escrow.Key{1}, About: about, FDs: fds}); err != nil {
		t.Fatal(err)
	}
	_ = e.Close()
	e, left := held(t, path)
	m := lone(t)
	m.mesh.most = 1 << 20
	m.cfg.Escrow = e
	m.sortOut(left)
	if len(m.found) != 1 || m.found[0].state == nil || !m.found[0].Minimal {
		t.Fatalf("%d are to live: %+v", len(m.found), m.found)
	}
	_, _ = m.found[0].socket.Close(), m.found[0].region.File.Close()
}

// A session that cannot go on is no longer in escrow, and its client is told so, though
// it was given up as one that lives elsewhere. A daemon that is being ended leaves it
// to the next one.
func TestRevivedInVain(t *testing.T) {
	for _, ended := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		socket, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if err := unix.SetsockoptInt(int(socket.Fd()), unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
			lab.Skip(t, err.Error())
		}
		path := filepath.Join(t.TempDir(), "e")
		e, _ := held(t, path)
		if err := e.Put(escrow.Deposit{FDs: []int{int(socket.Fd())}}); err != nil {
			t.Fatal(err)
		}
		m := lone(t)
		m.cfg.Escrow = e
		if ended {
			ctx, end := context.WithCancel(t.Context())
			end()
			m.ctx = ctx
		}
		m.revived(&found{socket: socket}, errors.New("there is no room"))
		_ = socket.Close()
		if !ended {
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the client: %v", err)
			}
		}
		_ = e.Close()
		if _, left := held(t, path); len(left) > 0 != ended {
			t.Errorf("%d are left", len(left))
		}
	}
}

// A session over which this daemon panics is set aside, with the reason, and the others
// are seen to; the next daemon lets it be, and it ends where all ends that is released.
func TestPanicsOverOne(t *testing.T) {
	for _, step := range []string{"found", "revive"} {
		t.Run(step, func(t *testing.T) { panicsOverOne(t, step) })
	}
}

// threeLeft puts three sessions into escrow of which nobody can make anything: their
// clients' ends are returned.
func threeLeft(t *testing.T, path string) map[int]*os.File {
	t.Helper()
	about, err := json.Marshal(entrusted{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	box, err := os.Create(filepath.Join(t.TempDir(), "no box"))
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	e, _ := held(t, path)
	defer e.Close()
	ends := map[int]*os.File{}
	for i := range 3 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = os.NewFile(uintptr(fds[0]), "client")
		t.Cleanup(func() { _ = ends[i].Close() })
		err = e.Put(escrow.Deposit{Key: escrow.Key{byte(i)}, About: about, FDs: []int{fds[1], int(box.Fd())}})
		if err := errors.Join(err, unix.Close(fds[1])); err != nil {
			t.Fatal(err)
		}
	}
	return ends
}

// bookkeeper is a ledger in memory that says in which order it was told things.
type bookkeeper struct {
	deaths map[cbox.ID]int
	asides map[cbox.ID]string

	mu   sync.Mutex
	told []string
}

func (b *bookkeeper) say(what string, id cbox.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, fmt.Sprint(what, " ", id[0]))
	return nil
}

func (b *bookkeeper) Deaths(id cbox.ID) int   { return b.deaths[id] }
func (b *bookkeeper) Begin(id cbox.ID) error  { return b.say("begin", id) }
func (b *bookkeeper) End(id cbox.ID) error    { return b.say("end", id) }
func (b *bookkeeper) Aside(id cbox.ID) string { return b.asides[id] }

func (b *bookkeeper) SetAside(id cbox.ID, why string) error {
	b.asides[id] = why
	return b.say("aside", id)
}

// Of two sessions former daemons may have died, which could not say so: that of which
// two have is set aside, the other is tried once more, after the third.
func TestKilledOverOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	ends := threeLeft(t, path)
	books := &bookkeeper{deaths: map[cbox.ID]int{{0}: 2, {1}: 1}, asides: map[cbox.ID]string{}}
	next := func() int {
		e, left := held(t, path)
		defer e.Close()
		m := lone(t)
		m.cfg.Escrow, m.cfg.Ledger = e, books
		m.sortOut(left)
		m.revive()
		m.tasks.Wait()
		return len(left)
	}
	if n := next(); n != 3 {
		t.Errorf("%d are found", n)
	}
	if d := cmp.Diff([]string{"aside 0", "begin 2", "end 2", "begin 1", "end 1"}, books.told); d != "" {
		t.Error(d)
	}
	if n := next(); n != 1 {
		t.Errorf("%d are set aside", n)
	}
	if n, err := escrow.Empty(path); n != 1 || err != nil {
		t.Errorf("%d are released, %v", n, err)
	}
	for i, f := range ends { // none is open
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func panicsOverOne(t *testing.T, step string) {
	path := filepath.Join(t.TempDir(), "e")
	ends := threeLeft(t, path)
	var log bytes.Buffer
	next := func(point func(string)) int {
		e, left := held(t, path)
		defer e.Close()
		m := lone(t)
		m.log, m.cfg.Escrow, m.cfg.Point = slog.New(slog.NewTextHandler(&log, nil)), e, point
		m.sortOut(left)
		m.revive()
		m.tasks.Wait()
		return len(left)
	}
	var first sync.Once
	if n := next(func(s string) {
		if s == step {
			first.Do(func() { panic("this one is not to be borne") })
		}
	}); n != 3 {
		t.Errorf("%d are found", n)
	}
	for range 2 {
		if n := next(nil); n != 1 {
			t.Errorf("%d are set aside", n)
		}
	}
	if n := strings.Count(log.String(), "this one is not to be borne"); n != 3 {
		t.Errorf("it is said %d times why:\n%s", n, log.String())
	}
	if n, err := escrow.Empty(path); n != 1 || err != nil {
		t.Errorf("%d are released, %v", n, err)
	}
	for i, f := range ends { // none is open
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
