// SPDX-License-Identifier: Apache-2.0

package pager

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
	"lazystate/dsm/call"
)

const (
	base     = 0x310000000000
	pageSize = 4096
	pages    = 64
)

// rig is a pager and a program, in another process, that does what it is told.
type rig struct {
	*Pager
	t      *testing.T
	mu     sync.Mutex
	faults []dsm.Fault
	server *call.Server
	in     io.WriteCloser
	out    *bufio.Reader
	wait   func() error
}

func modes(t *testing.T, test func(*testing.T, Mode)) {
	device := Device()
	best, err := Probe(device)
	if device >= 0 {
		unix.Close(device)
	}
	if err != nil {
		t.Fatal(err)
	}
	for m := range best + 1 {
		t.Run(m.String(), func(t *testing.T) { test(t, m) })
	}
}

// start serves each fault by letting the program do it.
func start(t *testing.T, mode Mode) *rig {
	t.Helper()
	p, err := New(pages, pageSize, mode)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Pager: p, t: t}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.program(path)
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	device := Device()
	s, a, err := call.Accept(conn, call.Offer{Welcome: uapi.DsmWelcome{Base: base, Bytes: pages * pageSize, PageSize: pageSize}, Region: p.FD(), Device: device})
	if device >= 0 {
		unix.Close(device)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.server = s
	if err := errors.Join(p.Attach(a.Uffd, a.Pagemap, base), s.Start(nil)); err != nil {
		t.Fatal(err)
	}
	go r.serve()
	t.Cleanup(r.stop)
	return r
}

// program starts this test's binary as one.
func (r *rig) program(path string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestProgram$")
	cmd.Env = append(os.Environ(), "DSM_TEST_SOCKET="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.in, r.out, r.wait = in, bufio.NewReader(out), cmd.Wait
}

func (r *rig) serve() {
	runtime.LockOSThread()
	for {
		f, err := r.Next()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.faults = append(r.faults, f.Fault)
		a := dsm.Read
		if f.Write || r.mode == Async {
			a = dsm.Write
		}
		if !r.Allowed(f.Fault) {
			r.Protect(f.Page, a)
		}
		r.Resume(f.Page)
		wake := r.Woken()
		r.mu.Unlock()
		wake()
	}
}

// stop ends the program; the thread that reads faults stays, for no end of the
// program wakes it.
func (r *rig) stop() {
	r.in.Close()
	if err := r.wait(); err != nil {
		r.t.Errorf("the program: %v", err)
	}
	r.server.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Err(); err != nil {
		r.t.Error(err)
	}
}

// do has the program access a byte, and returns what it says.
func (r *rig) do(what string, off int, val byte) byte {
	r.t.Helper()
	fmt.Fprintf(r.in, "%s %d %d\n", what, off, val)
	var got byte
	if _, err := fmt.Fscanln(r.out, &got); err != nil {
		r.t.Fatalf("%s at %d: %v", what, off, err)
	}
	return got
}

// saw returns the faults since it was asked last.
func (r *rig) saw() []dsm.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.faults
	r.faults = nil
	return f
}

// with is for what the node does.
func (r *rig) with(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	if err := r.Settle(); err != nil {
		r.t.Fatal(err)
	}
}

// TestProgram is the program.
func TestProgram(t *testing.T) {
	path := os.Getenv("DSM_TEST_SOCKET")
	if path == "" {
		t.Skip("is started by the other tests")
	}
	p, err := call.Join(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		var what string
		var off int
		var val byte
		if _, err := fmt.Scanln(&what, &off, &val); err != nil {
			break
		}
		switch what {
		case "read":
			val = p.Region[off]
		case "write":
			p.Region[off] = val
		case "unmap": // from the page table, as the kernel does when it reclaims the page
			if err := unix.Madvise(p.Region[off:off+pageSize], unix.MADV_DONTNEED); err != nil {
				panic(err)
			}
		case "pread": // the kernel writes into the region
			f, err := os.Open(os.Args[0])
			if err != nil {
				panic(err)
			}
			if _, err := unix.Pread(int(f.Fd()), p.Region[off:off+4], 0); err != nil {
				panic(err)
			}
			f.Close()
		}
		fmt.Println(val)
	}
	os.Exit(0)
}

func TestReadThenWrite(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		r.with(func() { copy(r.Bytes(3), "hello") })
		if got := r.do("read", 3*pageSize+1, 0); got != 'e' {
			t.Errorf("read %q", got)
		}
		r.do("write", 3*pageSize+1, 'a')
		want := []dsm.Fault{{Page: 3}, {Page: 3, Write: true}}
		if mode == Async {
			want = want[:1]
		}
		if saw := r.saw(); !slices.Equal(saw, want) {
			t.Errorf("faults %v, not %v", saw, want)
		}
		r.with(func() {
			if b := r.Bytes(3); !bytes.HasPrefix(b, []byte("hallo")) {
				t.Errorf("%q", b[:8])
			}
		})
	})
}

// What was taken away is in the node's copy, and what the node has made of it is
// what the program finds.
func TestTakenAway(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		for page := range 8 {
			r.do("write", page*pageSize+page, byte(page+1))
		}
		r.saw()
		r.with(func() {
			for _, page := range []dsm.Page{6, 1, 2, 3} { // two holes
				r.Protect(page, dsm.None)
				b := r.Bytes(page)
				if b[page] != byte(page+1) {
					t.Errorf("page %d has %d", page, b[page])
				}
				b[page] += 100
			}
		})
		for page := range 8 {
			want := byte(page + 1)
			if page == 1 || page == 2 || page == 3 || page == 6 {
				want += 100
			}
			if got := r.do("read", page*pageSize+page, 0); got != want {
				t.Errorf("page %d has %d, not %d", page, got, want)
			}
		}
		if saw := r.saw(); len(saw) != 4 {
			t.Errorf("faults %v", saw)
		}
	})
}

// A page that is given again before the hole is punched has what it should.
func TestTakenAndGivenAtOnce(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		r.do("write", 0, 7)
		r.with(func() {
			r.Protect(0, dsm.None)
			r.Bytes(0)[1] = 8
			r.Protect(0, dsm.Read)
		})
		r.saw()
		if a, b := r.do("read", 0, 0), r.do("read", 1, 0); a != 7 || b != 8 {
			t.Errorf("%d, %d", a, b)
		}
		if saw := r.saw(); len(saw) > 0 {
			t.Errorf("faults %v", saw)
		}
	})
}

// What nobody has written is zeros, also when the node has looked at it before.
func TestZeros(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		r.do("write", 0, 9)
		r.with(func() {
			r.Protect(0, dsm.None) // its buffer is used again
			if b := r.Bytes(5); slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
				t.Error("a new page is no zeros")
			}
		})
		for _, page := range []int{5, 6} {
			if got := r.do("read", page*pageSize, 0); got != 0 {
				t.Errorf("page %d has %d", page, got)
			}
		}
	})
}

// In sync mode the first write after a protection is a fault, and only that one.
func TestWriteProtection(t *testing.T) {
	r := start(t, Sync)
	r.do("write", 10, 1)
	r.do("write", 11, 1)
	if saw := r.saw(); len(saw) != 1 {
		t.Errorf("faults %v", saw)
	}
	r.with(func() { r.Protect(0, dsm.Read) })
	r.do("read", 10, 0)
	r.do("write", 10, 2)
	r.do("write", 11, 2)
	if saw := r.saw(); !slices.Equal(saw, []dsm.Fault{{Write: true}}) {
		t.Errorf("faults %v", saw)
	}
}

// In async mode the kernel says what was written since it was asked, or more.
func TestWritten(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		if mode == Sync {
			t.Skip("writes are faults in this mode")
		}
		r := start(t, mode)
		written := func() (got []dsm.Page) {
			r.with(func() { got = r.Memory().(dsm.Scanner).Written() })
			return got
		}
		if got := written(); len(got) > 0 {
			t.Errorf("at first %v", got)
		}
		for page := range 20 {
			r.do("read", page*pageSize, 0)
		}
		written()
		for _, page := range []int{3, 4, 19} {
			r.do("write", page*pageSize+5, 1)
		}
		if got := written(); !slices.Equal(got, []dsm.Page{3, 4, 19}) {
			t.Errorf("%v", got)
		}
		if got := written(); len(got) > 0 {
			t.Errorf("again %v", got)
		}
		r.do("write", 7*pageSize, 1)
		for _, want := range []int{1, 0} {
			if n, err := Scan(r.scan.fd, base, base+20*pageSize); n != want || err != nil {
				t.Errorf("a scan finds %d pages, not %d: %v", n, want, err)
			}
		}
		r.do("write", 4*pageSize, 1)
		r.with(func() { r.Protect(4, dsm.None) })
		if got := written(); !slices.Contains(got, 4) {
			t.Errorf("a page that was written and left is not among %v", got)
		}
	})
}

// A page that the kernel has reclaimed is what it was: one that was written is said to
// be, one that was not is not, and its next write is seen.
func TestReclaimed(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		written := func() (got []dsm.Page) {
			if s, ok := r.Memory().(dsm.Scanner); ok {
				r.with(func() { got = s.Written() })
				return got
			}
			for _, f := range r.saw() {
				if f.Write {
					got = append(got, f.Page)
				}
			}
			return slices.Compact(got) // a fault may be told twice
		}
		for _, page := range []int{3, 5, 6} {
			r.do("read", page*pageSize, 0)
		}
		written()
		r.do("write", 5*pageSize+9, 7)
		for _, page := range []int{3, 5} {
			r.do("unmap", page*pageSize, 0)
		}
		if got := written(); !slices.Equal(got, []dsm.Page{5}) {
			t.Errorf("written: %v", got)
		}
		if got := r.do("read", 5*pageSize+9, 0); got != 7 {
			t.Errorf("it reads %d", got)
		}
		r.do("write", 3*pageSize, 1)
		if got := written(); !slices.Equal(got, []dsm.Page{3}) {
			t.Errorf("then written: %v", got)
		}
	})
}

// An access by the kernel is an access: read(2) into the region.
func TestKernelAccess(t *testing.T) {
	device := Device()
	if device < 0 {
		t.Skip("without /dev/userfaultfd the kernel's accesses are not seen")
	}
	unix.Close(device)
	modes(t, func(t *testing.T, mode Mode) {
		r := start(t, mode)
		r.do("pread", 2*pageSize, 0)
		r.with(func() {
			if b := r.Bytes(2); string(b[:4]) != "\x7fELF" {
				t.Errorf("%q", b[:4])
			}
		})
	})
}

// A program that ends is an error, and no more than that.
func TestProgramEnds(t *testing.T) {
	r := start(t, Sync)
	r.do("read", 0, 0)
	r.in.Close()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	r.wait = func() error { return nil }
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Protect(1, dsm.Read)
	if err := r.Err(); !errors.Is(err, unix.ESRCH) {
		t.Errorf("%v", err)
	}
	r.err = nil
}

func TestMode(t *testing.T) {
	for _, m := range []Mode{Sync, Async} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("often"); err == nil {
		t.Error("there is no such mode")
	}
}

func TestNoSuchRegion(t *testing.T) {
	for _, size := range [][2]int{{0, pageSize}, {-1, pageSize}, {4, 100}, {4, 0}} {
		if _, err := New(size[0], size[1], Sync); err == nil {
			t.Errorf("%v", size)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(make([]byte, msgSize))
	f.Add(append([]byte{eventPagefault}, make([]byte, msgSize-1)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseMessage(b); err == nil && (len(b) != msgSize || b[0] != eventPagefault) {
			t.Error("no page fault, and taken for one")
		}
	})
}
