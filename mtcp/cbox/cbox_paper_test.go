// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

// §2.4.3, the contract: a process associates its channels, exports, and imports
// at the new server; the pseudocode of Figure 2.4 in our words. The front end
// saves the request, the back end the last transaction; the session moves after
// the second transaction was committed and before anybody heard of it.
func TestPaperFigure24(t *testing.T) {
	client, fe := accepted(t, Config{Processes: 2, Channels: 1})
	committed := map[string]int{}
	front := func(c *Conn) *Child {
		req, ok := c.Import()
		if !ok {
			req = make([]byte, 7)
			if _, err := c.Read(req); err != nil {
				t.Fatal(err)
			}
			export(t, c, string(req))
		}
		if string(req) != "request" {
			t.Errorf("the request is %q", req)
		}
		return must(c.Associate("back end", 1))
	}
	// txn commits once per tid, and tells its status to who asks.
	txn := func(tid string) string { committed[tid]++; return "ok:" + tid }
	send(t, client, "request")
	child := front(fe)
	be, pipe := opened(t, fe.Region(), child.Slot)
	if _, ok := be.Import(); ok {
		t.Error("the back end has a state before it began")
	}
	export(t, be, "1")
	send(t, pipe, txn("1"))
	export(t, be, "2")
	txn("2") // and here it moves

	s2, conn := moved(t, fe, 0)
	fe = resumed(t, s2, conn)
	child = front(fe)
	be, pipe = opened(t, fe.Region(), child.Slot)
	last, ok := be.Import()
	if !ok || committed[string(last)] != 1 {
		t.Fatalf("last is %q, committed %v", last, committed)
	}
	send(t, pipe, "ok:"+string(last)) // reconnectDB(tid): the status it had not written
	export(t, be, "3")
	send(t, pipe, txn("3"))
	get(t, timed(child.Channels[0]), "ok:1ok:2ok:3")
	for tid, n := range committed {
		if n != 1 {
			t.Errorf("transaction %s was committed %d times", tid, n)
		}
	}
}

// §2.4.3: "All SC and IPC calls may fail after a migration, returning an
// EMIGRATED error code."
func TestPaperEmigrated(t *testing.T) {
	_, root, child, up, down := pair(t, Config{})
	moved(t, root, 0)
	_, read := root.Read(make([]byte, 1))
	_, write := root.Write([]byte("x"))
	_, pipeRead := up.Read(make([]byte, 1))
	_, pipeWrite := down.Write([]byte("x"))
	_, assoc := root.Associate("more", 1)
	for what, err := range map[string]error{
		"read": read, "write": write, "pipe read": pipeRead, "pipe write": pipeWrite, "export": child.Export(nil),
		"export ndi": root.ExportNDI(nil), "export eager": root.ExportEager(nil), "associate": assoc, "setsockopt": root.SetKeepAlive(true),
	} {
		if !errors.Is(err, ErrMigrated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// §2.6.4: a process reads a chunk and exports, before it has used it, a state
// that does not have it. After a move it reads the next one: the chunk is gone,
// "this behavior is in fact normal".
func TestPaperServerThatExportsWrongly(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "chunkA chunkB ")
	get(t, c, "chunkA ")
	export(t, c, "before A")
	n := again(t, c, Config{})
	imported(t, n, "before A")
	get(t, n, "chunkB ")
}

// §2.6.4: a process that only forwards has a state all the same: what it has
// read and not yet written must be in the snapshot. Then nothing is lost.
func TestPaperForwarderSavesWhatItHolds(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "chunkA chunkB ")
	get(t, c, "chunkA ")
	export(t, c, "chunkA ")
	n := again(t, c, Config{})
	held, _ := n.Import()
	send(t, n, string(held))
	get(t, n, "chunkB ")
	send(t, n, "chunkB ")
	get(t, client, "chunkA chunkB ")
}

// §2.7, lazy export: no system call, and with copied state no memory either. The
// process that exports would be killed for any call that is not its scheduler's own.
func TestPaperLazyExportMakesNoSystemCall(t *testing.T) {
	_, root := accepted(t, Config{Processes: 2, Channels: 1})
	state := make([]byte, 1024)
	if n := testing.AllocsPerRun(100, func() { _ = root.Export(state) }); n > 0 {
		t.Errorf("an export allocates %v times", n)
	}
	if _, err := whereCallsAre(); err != nil {
		lab.Skip(t, "where a system call is made is not to be seen here: "+err.Error())
	}
	child := must(root.Associate("child", 1))
	b := must(OpenBox(root.Region()))
	defer b.Close()
	p := spawn(t, "export", "GODEBUG=asyncpreemptoff=1")
	if err := Pass(p.conn, root.Region(), root.ID(), 1, child.Slot, nil); err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	go func() { died <- p.wait() }()
	for {
		snap, err := b.Snapshot(child.Slot) // of a process that never stops exporting
		if err != nil {
			t.Fatal(err)
		}
		if snap != nil && snap.Seq >= 1000 {
			return
		}
		select {
		case err := <-died:
			snap, _ := b.Snapshot(child.Slot)
			t.Fatalf("killed for a system call after %+v: %v", snap, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// exporter exports for ever, on a thread that may make no system call.
func exporter(keeper *net.UnixConn) error {
	p, err := Take(keeper)
	if err != nil {
		return err
	}
	s, err := Open(p.Region, p.Slot, Config{})
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	state := make([]byte, 1024)
	if err := noCalls(); err != nil {
		return err
	}
	for {
		if err := s.Export(state); err != nil {
			return err
		}
	}
}

// whereCallsAre is the instruction by which packages other than runtime make system
// calls, but for a few that cannot fail.
func whereCallsAre() (uint64, error) {
	b, err := os.ReadFile("/proc/thread-self/syscall")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	return strconv.ParseUint(f[len(f)-1], 0, 64)
}

// noCalls has this process killed for a system call of this thread. Those by which Go's
// scheduler takes turns, where the machine is busy, are nobody's here.
func noCalls() error {
	at, err := whereCallsAre()
	if err != nil {
		return err
	}
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{ // offsets are of struct seccomp_data
		{Code: load, K: 8}, {Code: equal, K: uint32(at), Jf: 3},
		{Code: load, K: 0}, {Code: equal, K: unix.SYS_GETPPID, Jf: 6},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.E2BIG)}, // shows that it is the right instruction
		{Code: load, K: 0},
		{Code: equal, K: unix.SYS_FUTEX, Jt: 4},
		{Code: equal, K: unix.SYS_SCHED_YIELD, Jt: 3},
		{Code: equal, K: unix.SYS_NANOSLEEP, Jt: 2},
		{Code: equal, K: unix.SYS_RT_SIGRETURN, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return e
	}
	if _, _, e := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); e != unix.E2BIG {
		return fmt.Errorf("its calls are not seen: %w", e)
	}
	return nil
}

// §2.7: a pair of buffers, and a number in each that says which is the newer;
// a snapshot may be taken while the process writes the next one.
func TestPaperAlternatingBuffers(t *testing.T) {
	_, c := accepted(t, Config{})
	b, err := OpenBox(c.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, s := range []string{"one", "two", "three"} {
		if i > 0 {
			copy(c.Buffer(), "half-writt") // what it would leave behind
		}
		if snap, err := b.Snapshot(0); err != nil || i > 0 && (snap.Seq != uint64(i) || len(snap.Data) < 3) {
			t.Errorf("while %s is being written: %+v, %v", s, snap, err)
		}
		export(t, c, s)
		if snap, err := b.Snapshot(0); err != nil || string(snap.Data) != s {
			t.Errorf("after %s: %+v, %v", s, snap, err)
		}
	}
}
