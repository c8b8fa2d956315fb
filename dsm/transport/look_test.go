// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/shelf"
	"lazystate/dsm/vtime"
	"lazystate/internal/memfd"
)

// seek looks, and waits for what is found.
func (e *end) seek(l dsm.Look) dsm.Found {
	e.mu.Lock()
	before := len(e.looks)
	e.mu.Unlock()
	f, now := e.Look(l)
	if !now {
		e.until("answer to a look", func() bool {
			if len(e.looks) > before {
				f = e.looks[before]
			}
			return len(e.looks) > before
		})
	}
	return f
}

// What a node lays out is found by those that share memory with it, as long as that
// incarnation is the one they are connected with.
func TestLook(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ends := r.all()
		v := vtime.New(r.cfg.Nodes)
		v[2] = 5
		page := bytes.Repeat([]byte{7}, r.cfg.PageSize)
		look := func(from *end, inc uint32, p dsm.Page, want bool) {
			t.Helper()
			f := from.seek(dsm.Look{Home: 0, Incarnation: inc, Page: p})
			want = want && r.shelves()
			for end := time.Now().Add(bound); want && f.V == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
				f = from.seek(dsm.Look{Home: 0, Incarnation: inc, Page: p}) // dials crossed, and one connection went
			}
			if f.Home != 0 || f.Incarnation != inc || f.Page != p || (f.V != nil) != want {
				t.Errorf("page %d of 0.%d: %+v", p, inc, f)
			}
			if want && f.V != nil && (f.V[2] != 5 || f.Ordinal != 9 || !bytes.Equal(f.Bytes, page)) {
				t.Errorf("it has version %v, ordinal %d and bytes %d", f.V, f.Ordinal, f.Bytes[0])
			}
		}
		ends[0].Shelve(dsm.Shelve{Page: 3, V: v, Ordinal: 9, Bytes: page})
		taken := func() []dsm.Page { return ends[0].Taken([]dsm.Page{3, 4}) }
		if len(taken()) > 0 {
			t.Error("taken before anybody looked")
		}
		for _, e := range ends[1:] {
			look(e, 1, 3, true)
			for end := time.Now().Add(bound); r.shelves() && len(taken()) == 0 && time.Now().Before(end); { // a mark may be under way, or gone with its connection
				time.Sleep(time.Millisecond)
				look(e, 1, 3, true)
			}
			if got := taken(); r.shelves() != (len(got) > 0) || len(got) > 0 && !slices.Equal(got, []dsm.Page{3}) {
				t.Errorf("taken: %v, and page 3 was", got)
			}
			look(e, 1, 4, false)
			look(e, 2, 3, false)
		}
		ends[0].kill()
		second := r.start(0, 2)
		second.ready()
		for _, e := range ends[1:] {
			e.until("second incarnation", func() bool { return e.up[0] > 1 })
			look(e, 1, 3, false)
			look(e, 2, 3, false)
		}
		second.Shelve(dsm.Shelve{Page: 4, V: v, Ordinal: 9, Bytes: page})
		for _, e := range ends[1:] {
			look(e, 2, 4, true)
		}
	})
}

// A node that sends something else for its shelf is no node.
func TestWrongShelf(t *testing.T) {
	mine, err := shelf.New(testCluster, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	cfg := testCluster
	cfg.Self = 1
	other, err := shelf.New(cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	zeros, err := memfd.Sealed("test", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(zeros)
	for what, fds := range map[string][]int{"another incarnation's": {other.FD()}, "zeros": {zeros}, "two": {other.FD(), other.FD()}} {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error)
		go func() {
			peer := &socket{fd: ends[1]}
			fds0, err := peer.readFDs()
			if err == nil {
				err = peer.sendFDs(fds)
			}
			for _, fd := range fds0 {
				unix.Close(fd)
			}
			answered <- err
		}()
		s := &socket{fd: ends[0]}
		_, err = share(s, true, offer{open: func(fd int) (*shelf.Reader, error) { return mine.Open(fd, 1, 1) }})
		if err == nil {
			t.Errorf("%s is taken", what)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
		s.Close()
		unix.Close(ends[1])
	}
}
