// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// patience bounds what would hang; it decides nothing else.
const patience = 60 * time.Second

// side is one end, on the driver's own interface.
type side struct {
	t   *testing.T
	d   *Device
	pd  driver.PD
	cq  driver.CQ
	qp  driver.QPInfo
	mem driver.Memory
	mr  driver.MRInfo
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSide(t *testing.T) *side {
	t.Helper()
	d, err := Open(t.Name())
	check(t, err)
	s := &side{t: t, d: d}
	s.pd, err = d.AllocPD()
	check(t, err)
	s.cq, err = d.CreateCQ(64, 0)
	check(t, err)
	s.mem, err = d.Alloc(4096)
	check(t, err)
	s.mr, err = d.RegMR(s.pd, s.mem, 0x1000, driver.AccessLocalWrite|remote)
	check(t, err)
	s.qp, err = d.CreateQP(s.pd, &driver.QPInitAttr{Type: driver.RC, SendCQ: s.cq, RecvCQ: s.cq,
		Cap: driver.QPCap{MaxSendWR: 8, MaxRecvWR: 8, MaxSendSGE: 1, MaxRecvSGE: 1}})
	check(t, err)
	t.Cleanup(func() {
		d.DestroyQP(s.qp.QP)
		check(t, d.DeregMR(s.mr.MR))
		check(t, d.Free(s.mem))
		check(t, d.Close())
	})
	return s
}

// all attributes that any move needs.
const every = ^driver.QPMask(0)

func (s *side) connect(o *side) {
	s.t.Helper()
	a := driver.QPAttr{
		Port: 1, Access: remote, PathMTU: driver.MTU4096, DestQPN: o.qp.Num, AV: driver.AHAttr{DGID: o.d.gid},
		MaxDestRdAtomic: 1, MaxRdAtomic: 1, Timeout: 14, RetryCount: 7, RNRRetry: 7,
	}
	for _, a.State = range []driver.QPState{driver.QPInit, driver.QPRTR, driver.QPRTS} {
		check(s.t, s.d.ModifyQP(s.qp.QP, &a, every))
	}
}

func connected(t *testing.T) (x, y *side) {
	x, y = newSide(t), newSide(t)
	x.connect(y)
	y.connect(x)
	if st := x.do(driver.OpRDMARead, y); st != driver.WCSuccess {
		t.Fatal(st)
	}
	if st := y.do(driver.OpRDMARead, x); st != driver.WCSuccess {
		t.Fatal(st)
	}
	return x, y
}

func (s *side) post(op driver.Opcode, o *side) {
	s.t.Helper()
	n, err := s.d.PostSend(s.qp.QP, []driver.SendWR{{
		Op: op, Flags: driver.SendSignaled, SG: []driver.SGE{{Addr: 0x1000, Length: 8, LKey: s.mr.LKey}}, RemoteAddr: 0x1000, RKey: o.mr.RKey,
	}})
	if n != 1 || err != nil {
		s.t.Fatal(n, err)
	}
}

func (s *side) wait() driver.WCStatus {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wc [1]driver.WC
	_, err := s.d.WaitCQ(ctx, s.cq, wc[:])
	check(s.t, err)
	return wc[0].Status
}

func (s *side) do(op driver.Opcode, o *side) driver.WCStatus {
	s.t.Helper()
	s.post(op, o)
	return s.wait()
}

// mine calls f with the engine of s, as its peer's process would see it.
func (s *side) mine(f func(*engine)) {
	s.t.Helper()
	qp, err := s.d.ByHandle(s.qp.QP)
	check(s.t, err)
	qp.Lock()
	defer qp.Unlock()
	f(engineOf(qp))
}

// One side may be connected, and busy, before the other has left RESET.
func TestAPeerThatIsLate(t *testing.T) {
	x, y := newSide(t), newSide(t)
	x.connect(y)
	x.post(driver.OpRDMAWrite, y)
	// The question has arrived when y's queue pair has somebody who waits.
	for asked := false; !asked; time.Sleep(100 * time.Microsecond) {
		y.mine(func(e *engine) { asked = e != nil && len(e.waiting) == 1 })
	}
	y.connect(x)
	if st := x.wait(); st != driver.WCSuccess {
		t.Error(st)
	}
}

// What a peer writes into its segment, or ours, ends the connection at worst.
func TestAPeerThatLies(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(y *engine) // with the hands of y's process
		want driver.WCStatus
	}{
		{"it consumed what was not produced", func(y *engine) { u64(y.seg, segTail).Store(1 << 40) }, driver.WCRetryExcErr},
		{"it consumed less than nothing", func(y *engine) { u64(y.seg, segTail).Store(1<<64 - 32) }, driver.WCRetryExcErr},
		{"it accepted what was not sent", func(y *engine) { u64(y.seg, segAcked).Store(99); y.stopped = true }, driver.WCRetryExcErr},
		{"it says what no peer can", func(y *engine) { u32(y.seg, segStatus).Store(0x1234); y.stopped = true }, driver.WCGeneralErr},
		{"it says that our memory is bad", func(y *engine) { u32(y.seg, segStatus).Store(uint32(driver.WCLocProtErr)); y.stopped = true }, driver.WCGeneralErr},
		{"it is in a state that there is not", func(y *engine) { u32(y.seg, segState).Store(77) }, driver.WCRetryExcErr},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, y := connected(t)
			y.mine(c.lie)
			x.post(driver.OpSend, y)
			x.mine((*engine).act)
			if st := x.wait(); st != c.want {
				t.Errorf("%v, want %v", st, c.want)
			}
		})
	}
}

// What stands in our ring is checked before it is believed.
func TestARingThatLies(t *testing.T) {
	for _, c := range []struct {
		name string
		r    record
		head uint64
	}{
		{"more than there is", record{Size: 4096, Op: uint8(driver.OpSend), Flags: recFirst | recLast, Total: 4096}, 64},
		{"more than the message", record{Size: 64, Op: uint8(driver.OpSend), Flags: recFirst | recLast, Total: 8}, 96},
		{"a head beyond the ring", record{Size: 8, Op: uint8(driver.OpSend), Flags: recFirst | recLast, Total: 8}, ringSize + 64},
		{"a middle without a first", record{Size: 8, Op: uint8(driver.OpSend), Total: 8}, 64},
		{"an operation that needs no receive", record{Size: 8, Op: uint8(driver.OpRDMARead), Flags: recFirst | recLast, Total: 8}, 64},
		{"no operation", record{Size: 8, Op: 200, Flags: recFirst | recLast, Total: 8}, 64},
		{"half a record", record{}, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, y := connected(t)
			_, err := y.d.PostRecv(y.qp.QP, []driver.RecvWR{{SG: []driver.SGE{{Addr: 0x1000, Length: 4096, LKey: y.mr.LKey}}}})
			check(t, err)
			x.mine(func(e *engine) {
				c.r.put(e.far.b[segRing:])
				u64(e.far.b, segHead).Store(c.head)
				e.link.notify(e.peer)
			})
			if st := y.wait(); st != driver.WCWRFlushErr {
				t.Errorf("the receive ended with %v", st)
			}
			if a, err := y.d.QueryQP(y.qp.QP); err != nil || a.State != driver.QPError {
				t.Errorf("%v, %v", a.State, err)
			}
		})
	}
}

// A lie about the ring is found out by the send that needs room in it.
func TestALieAboutRoomEndsTheSend(t *testing.T) {
	x, y := connected(t)
	y.mine(func(e *engine) { u64(e.seg, segTail).Store(1 << 40) })
	x.post(driver.OpSend, y)
	if st := x.wait(); st != driver.WCRetryExcErr {
		t.Error(st)
	}
}

// A receive that holds half of a message is flushed with the others, before them.
func TestHalfAMessageIsFlushed(t *testing.T) {
	x, y := connected(t)
	for id := range uint64(2) {
		_, err := y.d.PostRecv(y.qp.QP, []driver.RecvWR{{ID: 7 + id, SG: []driver.SGE{{Addr: 0x1000, Length: 4096, LKey: y.mr.LKey}}}})
		check(t, err)
	}
	x.mine(func(e *engine) {
		r := record{Size: 64, Op: uint8(driver.OpSend), Flags: recFirst, Total: 128}
		r.put(e.far.b[segRing:])
		u64(e.far.b, segHead).Store(recordSize + pad(r.Size))
		e.link.notify(e.peer)
	})
	for half := false; !half; time.Sleep(100 * time.Microsecond) {
		y.mine(func(e *engine) { half = e.recv != nil })
	}
	check(t, y.d.ModifyQP(y.qp.QP, &driver.QPAttr{State: driver.QPError}, driver.QPMaskState))
	for id := range uint64(2) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var wc [1]driver.WC
		_, err := y.d.WaitCQ(ctx, y.cq, wc[:])
		cancel()
		check(t, err)
		if wc[0].ID != 7+id || wc[0].Status != driver.WCWRFlushErr {
			t.Errorf("%+v, want receive %d, flushed", wc[0], 7+id)
		}
	}
}

// Where no descriptor is left for a while, a listener goes on afterwards.
func TestListenersOutliveTheLackOfDescriptors(t *testing.T) {
	tries := 0
	_, err := next(func() (*net.UnixConn, error) {
		if tries++; tries < 3 {
			return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", unix.EMFILE)}
		}
		return nil, net.ErrClosed
	})
	if tries != 3 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// A file that its owner cuts after registering it is an error, not a SIGBUS.
func TestAFileThatIsCut(t *testing.T) {
	x, y := connected(t)
	fd, err := unix.MemfdCreate("cut", unix.MFD_CLOEXEC)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Ftruncate(fd, 8192))
	b, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	defer unix.Munmap(b)
	info, err := y.d.RegMR(y.pd, driver.Memory{Bytes: b[4096:], FD: fd, Offset: 4096}, 0x1000, driver.AccessLocalWrite|remote)
	check(t, err)
	defer y.d.DeregMR(info.MR)
	cut := &side{mr: info}
	if st := x.do(driver.OpRDMAWrite, cut); st != driver.WCSuccess {
		t.Fatal(st)
	}
	check(t, unix.Ftruncate(fd, 4096))
	if st := x.do(driver.OpRDMARead, cut); st != driver.WCRemOpErr {
		t.Errorf("%v of a page that is gone", st)
	}
}

// A read-only registration's file cannot be written through what peers get.
func TestReadOnlyStaysReadOnly(t *testing.T) {
	_, y := connected(t)
	m, err := y.d.Alloc(4096)
	check(t, err)
	defer y.d.Free(m)
	info, err := y.d.RegMR(y.pd, m, 0, driver.AccessRemoteRead)
	check(t, err)
	defer y.d.DeregMR(info.MR)
	fd := y.d.table.slots[info.RKey].fd
	if _, err := unix.Pwrite(fd, []byte{1}, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("write: %v", err)
	}
	if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED); !errors.Is(err, unix.EACCES) {
		t.Errorf("map for writing: %v", err)
	}
}

func TestMemoryWithoutAFile(t *testing.T) {
	_, y := connected(t)
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	check(t, err)
	defer unix.Munmap(b)
	if _, err := y.d.RegMR(y.pd, driver.Memory{Bytes: b, FD: -1}, 0, remote|driver.AccessLocalWrite); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("shared without a file: %v", err)
	}
	info, err := y.d.RegMR(y.pd, driver.Memory{Bytes: b, FD: -1}, 0, driver.AccessLocalWrite)
	check(t, err) // for our own sends and receives it is fine
	check(t, y.d.DeregMR(info.MR))
}

// Another user's process gets nothing from a device, and is not believed: a
// child of that user takes a name first, then asks for ours.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	_, y := connected(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{OtherUserVar + "=" + deviceName(y.d.gid)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.StdoutPipe()
	check(t, err)
	in, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	if line != "hung up on\n" {
		t.Errorf("our device, asked by another user: %q", line)
	}
	_, err = dialUnix(t.Context(), otherUserName(os.Getpid()))
	var cred *CredError
	if !errors.As(err, &cred) || cred.UID != 65534 {
		t.Errorf("his socket: %v", err)
	}
	check(t, in.Close())
	check(t, cmd.Wait())
}
