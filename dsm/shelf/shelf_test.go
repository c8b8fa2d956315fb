// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
	"lazystate/internal/memfd"
)

var testConfig = dsm.Config{Self: 1, Nodes: 20, Pages: 5, PageSize: 4096}

func rig(t *testing.T) (*Shelf, *Reader) {
	t.Helper()
	s, err := New(testConfig, 3)
	if err != nil {
		t.Fatal(err)
	}
	r, mine := open(t, s)
	t.Cleanup(func() {
		for _, err := range []error{s.Close(), r.Close(), r.Close(), mine.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return s, r
}

// open has node 2 read the shelf.
func open(t testing.TB, s *Shelf) (theirs *Reader, mine *Shelf) {
	t.Helper()
	cfg := testConfig
	cfg.Self = 2
	mine, err := New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = mine.Open(s.FD(), 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	return theirs, mine
}

// laid is page p all of b, of time b at each node.
func laid(p dsm.Page, b byte) dsm.Shelve {
	v := vtime.New(testConfig.Nodes)
	for i := range v {
		v[i] = vtime.Interval(b)
	}
	return dsm.Shelve{Page: p, V: v, Ordinal: uint64(b), Bytes: bytes.Repeat([]byte{b}, testConfig.PageSize)}
}

// same is nil for a page as laid has made it.
func same(t *testing.T, f dsm.Found) (b byte) {
	t.Helper()
	b = f.Bytes[0]
	want := laid(f.Page, b)
	if !bytes.Equal(f.Bytes, want.Bytes) || !f.V.LessEq(want.V) || !want.V.LessEq(f.V) || f.Ordinal != want.Ordinal || f.Home != 1 || f.Incarnation != 3 {
		t.Errorf("page %d, V %v, ordinal %d, bytes %d to %d, of %v.%d", f.Page, f.V, f.Ordinal, f.Bytes[0], f.Bytes[4095], f.Home, f.Incarnation)
	}
	return b
}

func TestLook(t *testing.T) {
	s, r := rig(t)
	for p := range dsm.Page(7) {
		if f := r.Look(p); f.V != nil || f.Page != p {
			t.Errorf("page %d lies there: %+v", p, f)
		}
	}
	for b := byte(1); b < 4; b++ {
		s.Put(laid(4, b))
		s.Put(laid(0, b+100))
		if got, other := same(t, r.Look(4)), same(t, r.Look(0)); got != b || other != b+100 {
			t.Errorf("pages of %d and %d, not %d and %d", got, other, b, b+100)
		}
	}
	s.count(s.mem, 4).Add(1) // somebody lays it out
	if f := r.Look(4); f.V != nil {
		t.Error("half a page")
	}
}

// A reader beside the writer has whole pages, and in time the last one.
func TestLookMeanwhile(t *testing.T) {
	s, r := rig(t)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := byte(0); last < 200; {
				f := r.Look(2)
				if f.V == nil {
					continue
				}
				b := same(t, f)
				if b < last {
					t.Errorf("page %d after %d", b, last)
				}
				last = b
			}
		})
	}
	for b := byte(1); b <= 200; b++ {
		for range 20 {
			s.Put(laid(2, b))
		}
	}
	readers.Wait()
}

// A home sees whether what lies there was taken, and not what lay there before.
func TestTook(t *testing.T) {
	s, err := New(testConfig, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	theirs, mine := open(t, s)
	defer theirs.Close()
	defer mine.Close()
	back, err := s.Open(mine.FD(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	took := func(p dsm.Page, want bool) {
		t.Helper()
		if got := back.Took(p); got != want {
			t.Errorf("page %d was taken: %v", p, got)
		}
	}
	took(4, false)
	theirs.Look(4)
	took(4, false) // there was nothing
	for b := byte(1); b < 3; b++ {
		s.Put(laid(4, b))
		took(4, false)
		theirs.Look(4)
		took(4, true)
		took(3, false)
	}
	took(5, false) // there is no such page
	if err := back.Close(); err != nil {
		t.Fatal(err)
	}
	took(4, false)
}

// A node that is dead leaves its pages; who holds its shelf cannot write it.
func TestLeft(t *testing.T) {
	s, err := New(testConfig, 3)
	if err != nil {
		t.Fatal(err)
	}
	r, mine := open(t, s)
	defer mine.Close()
	if b, err := unix.Mmap(s.FD(), 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		_ = unix.Munmap(b)
		t.Error("the descriptor lets others write")
	}
	s.Put(laid(3, 9))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b := same(t, r.Look(3)); b != 9 {
		t.Errorf("page of %d", b)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if f := r.Look(3); f.V != nil {
		t.Error("a page of memory that is not there")
	}
}

// What is no shelf of that node's incarnation is refused, and kills nobody.
func TestStrange(t *testing.T) {
	s, err := New(testConfig, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := testConfig
	other.Pages++
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	empty, err := memfd.Sealed("test", int64(s.size()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(empty)
	bigger, err := New(other, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer bigger.Close()
	if _, err := New(dsm.Config{Nodes: 1}, 1); err == nil {
		t.Error("a shelf for no pages")
	}
	for _, c := range []struct {
		name string
		fd   int
		mine *Shelf
		of   dsm.NodeID
		inc  uint32
		want string
	}{
		{"another incarnation", s.FD(), s, 1, 4, "begins with"},
		{"another node", s.FD(), s, 2, 3, "begins with"},
		{"another size", s.FD(), bigger, 1, 3, "bytes"},
		{"a file", int(file.Fd()), s, 1, 3, "memfd"},
		{"zeros", empty, s, 1, 3, "begins with"},
	} {
		if _, err := c.mine.Open(c.fd, c.of, c.inc); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever lies on a shelf, a look ends and has the right shape.
func FuzzLook(f *testing.F) {
	f.Add(uint16(0), uint32(2), uint16(4), uint32(1))
	f.Add(uint16(0), uint32(3), uint16(4096), uint32(1<<31))
	s, err := New(testConfig, 3)
	if err != nil {
		f.Fatal(err)
	}
	r, _ := open(f, s)
	f.Fuzz(func(t *testing.T, page uint16, count uint32, at uint16, word uint32) {
		p := dsm.Page(page)
		if int(p) < testConfig.Pages {
			s.count(s.mem, p).Store(count)
		}
		binary.LittleEndian.PutUint32(s.mem[block+int(at)%(s.size()-block-4):], word)
		got := r.Look(p)
		if got.V != nil && (len(got.V) != testConfig.Nodes || len(got.Bytes) != testConfig.PageSize) {
			t.Errorf("%d nodes, %d bytes", len(got.V), len(got.Bytes))
		}
	})
}

// What a device reads stays when the shelf is closed, until the last has given it back.
func TestLent(t *testing.T) {
	s, err := New(testConfig, 3)
	if err != nil {
		t.Fatal(err)
	}
	mem, fd, err := s.Lend()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Lend(); err != nil {
		t.Fatal(err)
	}
	s.Put(laid(3, 9))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Lend(); err == nil {
		t.Error("a shelf that is closed is lent")
	}
	for _, want := range []error{nil, unix.ENOMEM} { // after each Return
		if page := s.page(mem, 3); page[0] != 9 {
			t.Errorf("page of %d", page[0])
		}
		if err := s.Return(); err != nil {
			t.Error(err)
		}
		if err := unix.Msync(mem, unix.MS_ASYNC); err != want {
			t.Errorf("mapped: %v, not %v", err, want)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); (err == nil) != (want == nil) {
			t.Errorf("its file: %v", err)
		}
	}
}
