// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// Export records state as the point that this process has reached: with it, and
// with what has been read and written until now, the session can go on
// elsewhere. It is the lazy export of §2.7: no system call, unless held output
// goes out. The interval that begins is deterministic.
func (s *Session) Export(state []byte) error { return s.export(state, 0, copied) }

// ExportNDI is Export at the beginning of a nondeterministic interval: what
// the process writes is held until the next export (§2.4.4).
func (s *Session) ExportNDI(state []byte) error { return s.export(state, uapi.CboxSnapNDI, copied) }

// ExportEager is the eager export of §2.7, for comparison: a system call copies
// the state.
func (s *Session) ExportEager(state []byte) error { return s.export(state, 0, written) }

// Buffer returns the place in the box that the next snapshot will have, to make
// the state there: a registered buffer of §2.7. It is valid until the next
// export or until Close. Only the holder of a Session that no other goroutine
// exports may use it.
func (s *Session) Buffer() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.buffer()[s.dataOff():]
}

// Commit exports the first n bytes of Buffer.
func (s *Session) Commit(n int, ndi bool) error {
	flags := uint16(0)
	if ndi {
		flags = uapi.CboxSnapNDI
	}
	if n < 0 {
		return &SizeError{"snapshot", 0, 0}
	}
	return s.export(nil, flags, made(n))
}

// how is the way in which the state comes into the snapshot: copied, written by
// a system call, or made there with so many bytes.
type how int

const (
	copied  how = -1
	written how = -2
)

func made(n int) how { return how(n) }

// buffer returns the buffer of the next snapshot; mu is held.
func (s *Session) buffer() []byte {
	p := &s.head.ProcTable[s.slot]
	off := p.SnapOff + (s.seq+1)%2*uint64(p.SnapLen)
	return s.m[off : off+uint64(p.SnapLen)]
}

func (s *Session) dataOff() int { return uapi.CboxSnapSize + len(s.ends)*uapi.CboxEndSize }

func (s *Session) export(state []byte, flags uint16, h how) error {
	var held bool
	for {
		s.mu.Lock()
		err := s.enter()
		if err == nil {
			held, err = s.snapshot(state, flags, h)
			s.leave()
			s.mu.Unlock()
			if err != nil {
				return err
			}
			break
		}
		s.mu.Unlock()
		if err != errLeaving {
			return err
		}
		s.await()
	}
	if held {
		return s.root.flush()
	}
	return nil
}

// snapshot writes the next snapshot and lets go what it releases. It reports
// whether output to the client is left, which only calls that may block can
// send.
func (s *Session) snapshot(state []byte, flags uint16, h how) (held bool, err error) {
	b, data := s.buffer(), s.dataOff()
	n := len(state)
	if h >= 0 {
		n = int(h)
	}
	if n > len(b)-data {
		return false, &SizeError{"snapshot", uint64(n), uint64(len(b) - data)}
	}
	if err := s.canExport(flags); err != nil {
		return false, err
	}
	clear(b[:8]) // no snapshot, until seq is stored
	switch h {
	case copied:
		copy(b[data:], state)
	case written:
		if err := s.pwrite(state, data); err != nil {
			return false, err
		}
	}
	le.PutUint32(b[uapi.CboxSnapLenOff:], uint32(n))
	le.PutUint64(b[uapi.CboxSnapNumberOff:], s.seq+1)
	le.PutUint64(b[uapi.CboxSnapOrderOff:], s.order())
	if s.root != nil {
		s.root.positions(b)
	}
	if s.shut = s.shut || s.root != nil && mtcp.EndsWriting(s.root.actions.Repeated()); s.shut {
		flags |= uapi.CboxSnapShut
	}
	le.PutUint16(b[uapi.CboxSnapFlagsOff:], flags)
	le.PutUint16(b[uapi.CboxSnapEndsOff:], uint16(len(s.ends)))
	for i, e := range s.ends {
		e.position(b[uapi.CboxSnapSize+i*uapi.CboxEndSize:])
	}
	le.PutUint32(b[uapi.CboxSnapCRCOff:], checksum(b[uapi.CboxSnapNumberOff:data+n]))
	s.seq++
	memory(b).put64(uapi.CboxSnapSeqOff, s.seq) // from here on it counts
	s.ndi = flags&uapi.CboxSnapNDI != 0
	return s.exported(), nil
}

// canExport: a nondeterministic interval must not begin amid repeated output.
func (s *Session) canExport(flags uint16) error {
	if flags&uapi.CboxSnapNDI == 0 {
		return nil
	}
	if s.root != nil {
		if _, err := s.root.down.Export(true); err != nil {
			return fmt.Errorf("export for the connection: %w", err)
		}
	}
	for _, e := range s.ends {
		if e.writes {
			if _, err := e.w.Export(true); err != nil {
				return fmt.Errorf("export for %v: %w", e, err)
			}
		}
	}
	return nil
}

// order numbers the exports of all processes. With one process no other
// counts, and a plain store does.
func (s *Session) order() uint64 {
	if len(s.ends) == 0 {
		n := binary.LittleEndian.Uint64(s.m[uapi.CboxHeadExportsOff:]) + 1
		s.m.put64(uapi.CboxHeadExportsOff, n)
		return n
	}
	return s.m.word64(uapi.CboxHeadExportsOff).Add(1)
}

// exported trims the logs and releases what was held; the snapshot counts
// already, so dying in between does no harm: who resumes does it again.
func (s *Session) exported() (held bool) {
	for _, e := range s.ends {
		e.exported(s.ndi)
	}
	if s.root != nil {
		held = s.root.exported(s.ndi)
	}
	if s.cfg.LogWait > 0 {
		s.tell()
	}
	return held
}

// pwrite copies the state by a system call.
func (s *Session) pwrite(state []byte, data int) error {
	p := &s.head.ProcTable[s.slot]
	off := int64(p.SnapOff+(s.seq+1)%2*uint64(p.SnapLen)) + int64(data)
	for done := 0; done < len(state); {
		n, err := unix.Pwrite(int(s.region.File.Fd()), state[done:], s.region.Offset+off+int64(done))
		if err == unix.EINVAL { // a device, which can only be mapped
			n, err = selfWrite(s.m[off+int64(done):], state[done:])
		}
		if err != nil {
			return os.NewSyscallError("pwrite", err)
		}
		done += n
	}
	return nil
}

// selfWrite copies within this process, by a system call.
func selfWrite(to, from []byte) (int, error) {
	local, remote := []unix.Iovec{{Base: &from[0]}}, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&to[0])), Len: len(from)}}
	local[0].SetLen(len(from))
	return unix.ProcessVMWritev(os.Getpid(), local, remote, 0)
}
