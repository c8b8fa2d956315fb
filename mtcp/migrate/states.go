// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// states is a file in memory with those of sessions that come, one behind the other,
// of which escrow is given a descriptor.
type states struct {
	file *os.File
	lens []int64
}

// writeStates makes one, which the caller closes. Many are written at once, not each.
func writeStates(all []*Coming) (*states, error) {
	fd, err := unix.MemfdCreate("states", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	s := &states{os.NewFile(uintptr(fd), "states"), make([]int64, len(all))}
	var b []byte
	for i, c := range all {
		from := len(b)
		b = c.state.AppendBinary(b)
		s.lens[i] = int64(len(b) - from)
		if len(b) < writeAtOnce && i < len(all)-1 {
			continue
		}
		if _, err := s.file.Write(b); err != nil {
			return nil, errors.Join(err, s.file.Close())
		}
		b = b[:0]
	}
	return s, nil
}

func (s *states) close() {
	if s != nil {
		_ = s.file.Close()
	}
}
