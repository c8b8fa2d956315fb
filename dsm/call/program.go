// SPDX-License-Identifier: Apache-2.0

package call

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/ready"
)

// Flags are bits of enum bd_dsm_answer_flag.
type Flags uint32

// Due is true if a checkpoint is wanted.
func (f Flags) Due() bool { return f&uapi.DsmDue != 0 }

// Replayed is true if the node is in its past.
func (f Flags) Replayed() bool { return f&uapi.DsmReplayed != 0 }

// ErrGone is a daemon that does not live any more.
var ErrGone = errors.New("the daemon of this node is gone")

// Error is what the daemon does not do.
type Error struct {
	Kind  uint32 // enum bd_dsm_call
	Cause uint32 // enum bd_dsm_answer_error
	Why   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s", uapi.DsmCallName(e.Kind), uapi.DsmAnswerErrorName(e.Cause), e.Why)
}

// Program is the end of the program, for one thread. Region is the shared memory;
// it lies at the same address in all processes.
type Program struct {
	Welcome uapi.DsmWelcome
	Region  []byte
	ring    *ring
	private int // descriptor of the private state
	uffd    int // stays open: else the region would read as zeros if the daemon died
	conn    *net.UnixConn
}

// Call does an operation and comes back when it is over.
func (p *Program) Call(kind uint32, args ...uint64) (Flags, error) {
	r := p.ring
	for i, a := range args {
		r.arg(i).Store(a)
	}
	r.word32(uapi.DsmRingKindOff).Store(kind)
	call, answer := r.callBell(), r.answerBell()
	n := call.word.Load() + 1
	call.ring(n)
	for seen := answer.word.Load(); seen != n; seen = answer.word.Load() {
		if answer.wait(seen); answer.word.Load() == seen && p.gone() {
			return 0, ErrGone
		}
	}
	flags := Flags(r.word32(uapi.DsmRingFlagsOff).Load())
	if cause := r.word32(uapi.DsmRingErrorOff).Load(); cause != uapi.DsmOk {
		return flags, &Error{kind, cause, uapi.CString(r.why())}
	}
	return flags, nil
}

// gone is true if the daemon has hung up.
func (p *Program) gone() bool {
	gone := false
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		events, err := ready.Now(fd, 0)
		gone = err == nil && events != 0 // POLLHUP, POLLERR or POLLNVAL
	})
	return gone || err != nil
}

// Acquire takes a lock.
func (p *Program) Acquire(lock uint32) (Flags, error) {
	if p.alone(uapi.DsmAcquire, lock) {
		return 0, nil
	}
	return p.Call(uapi.DsmAcquire, uint64(lock))
}

// Release gives it back.
func (p *Program) Release(lock uint32) (Flags, error) {
	if p.alone(uapi.DsmRelease, lock) {
		return 0, nil
	}
	return p.Call(uapi.DsmRelease, uint64(lock))
}

// alone does an operation without the daemon, if the token is here and nobody
// waits for it. That a lock is not taken twice, the daemon sees later.
func (p *Program) alone(kind, lock uint32) bool {
	r := p.ring
	gate := r.gate().Load()
	tail := uint32(gate & uapi.DsmGateTail)
	if gate&uapi.DsmGateShut != 0 || lock >= r.locks || r.token(lock).Load() != 1 || tail-r.word32(uapi.DsmRingTakenOff).Load() >= r.ops {
		return false
	}
	r.op(tail).Store(uint64(kind)<<32 | uint64(lock))
	return r.gate().CompareAndSwap(gate, gate&uapi.DsmGateTurn|uint64(tail+1))
}

// Checkpoint saves the private state with the node's, right behind an operation
// and before any access. It comes back when the state is taken, or, if safe, when
// it is on stable storage.
func (p *Program) Checkpoint(state []byte, safe bool) error {
	for off := 0; off < len(state); {
		n, err := unix.Pwrite(p.private, state[off:], int64(off))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("private state: %w", err)
		}
		off += max(n, 0)
	}
	var wait uint64
	if safe {
		wait = 1
	}
	_, err := p.Call(uapi.DsmCheckpoint, uint64(len(state)), wait)
	return err
}

// Restored returns the private state to go on from; not ok is a program that
// begins.
func (p *Program) Restored() (state []byte, ok bool, err error) {
	if p.Welcome.Flags&uapi.DsmRestored == 0 {
		return nil, false, nil
	}
	state = make([]byte, p.Welcome.PrivateBytes)
	for off := 0; off < len(state); {
		n, err := unix.Pread(p.private, state[off:], int64(off))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, false, fmt.Errorf("private state: %w", err)
		case n == 0:
			return nil, false, fmt.Errorf("private state: %d bytes of %d", off, len(state))
		}
		off += max(n, 0)
	}
	return state, true, nil
}

// Close leaves the node. The region is gone.
func (p *Program) Close() error {
	err := p.unleash()
	for _, fd := range []int{p.uffd, p.private} {
		err = errors.Join(err, unix.Close(fd))
	}
	return errors.Join(err, unmap(p.Region), unix.Munmap(p.ring.b), p.conn.Close())
}

// patience bounds what the daemon may take for each message of the set-up.
const patience = time.Minute

// Join sets a program up with the daemon that listens at path.
func Join(path string) (*Program, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("join a node of the DSM: %w", err)
	}
	p := &Program{conn: conn, private: -1, uffd: -1}
	if err := p.join(); err != nil {
		p.abandon()
		return nil, fmt.Errorf("join a node of the DSM at %s: %w", path, err)
	}
	return p, nil
}

// abandon closes what an unfinished Join has.
func (p *Program) abandon() {
	_ = p.conn.Close()
	for _, fd := range []int{p.uffd, p.private} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	_ = unmap(p.Region)
	if p.ring != nil {
		_ = unix.Munmap(p.ring.b)
	}
}

func (p *Program) join() error {
	if err := p.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	hello := uapi.DsmHello{Magic: uapi.DsmMagic, Thread: uint32(unix.Gettid())}
	if err := send(p.conn, hello.Encode()); err != nil {
		return err
	}
	fds, err := p.welcome()
	defer closeAll(fds)
	if err != nil {
		return err
	}
	if err := p.attach(fds); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	if err := p.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return p.leash()
}

// welcome takes what the daemon offers; the descriptors are the caller's.
func (p *Program) welcome() ([]int, error) {
	b, fds, err := receive(p.conn, uapi.DsmWelcomeSize)
	if err != nil {
		return nil, err
	}
	w := &p.Welcome
	want := 3
	if err := w.Decode(b); err != nil {
		return fds, err
	}
	if w.Flags&uapi.DsmDevice != 0 {
		want++
	}
	switch {
	case w.Magic != uapi.DsmMagic:
		return fds, fmt.Errorf("its magic is %#x: it is of another version", w.Magic)
	case w.Error != 0:
		return fds, fmt.Errorf("%s: %w", uapi.CString(w.Text[:]), unix.Errno(w.Error))
	case len(fds) != want:
		return fds, fmt.Errorf("a welcome with %d descriptors, not %d", len(fds), want)
	}
	return fds, nil
}

// attach maps what has come.
func (p *Program) attach(fds []int) (err error) {
	w := &p.Welcome
	if p.Region, err = mapAt(fds[0], w.Base, w.Bytes); err != nil {
		return err
	}
	b, err := unix.Mmap(fds[1], 0, int(w.RingBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	if p.ring, err = openRing(b); err != nil {
		_ = unix.Munmap(b)
		return err
	}
	if p.private, err = unix.FcntlInt(uintptr(fds[2]), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return fmt.Errorf("private state: %w", err)
	}
	device := -1
	if w.Flags&uapi.DsmDevice != 0 {
		device = fds[3]
	}
	p.uffd, err = newUffd(device)
	return err
}

// start gives the daemon what it needs to watch the region, and hears whether it
// does.
func (p *Program) start() error {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer pagemap.Close()
	ready := uapi.DsmReady{Magic: uapi.DsmMagic}
	if err := send(p.conn, ready.Encode(), p.uffd, int(pagemap.Fd())); err != nil {
		return err
	}
	b, fds, err := receive(p.conn, uapi.DsmStartSize)
	closeAll(fds)
	if err != nil {
		return err
	}
	var s uapi.DsmStart
	if err := s.Decode(b); err != nil {
		return err
	}
	if s.Error != 0 {
		return fmt.Errorf("%s: %w", uapi.CString(s.Text[:]), unix.Errno(s.Error))
	}
	return nil
}
