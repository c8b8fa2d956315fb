// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/internal/ready"
)

// process watches one process by pidfd, so that a reused pid is no life sign.
type process struct{ fd int }

func watchProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return &process{fd}, nil
}

// dead: a pidfd becomes readable when its process has ended.
func (p *process) dead() bool {
	events, err := ready.Now(uintptr(p.fd), unix.POLLIN)
	return err == nil && events != 0
}

// alive asks everything that tells whether the machine is still there.
func (m *Memory) alive() error {
	switch {
	case m.bar.unlinked() || m.ram.unlinked():
		return fmt.Errorf("its files were removed: %w", backdoor.ErrGone)
	case m.proc != nil && m.proc.dead():
		return fmt.Errorf("its process has ended: %w", backdoor.ErrGone)
	case m.opts.Alive != nil:
		if err := m.opts.Alive(); err != nil {
			return fmt.Errorf("%w: %w", backdoor.ErrGone, err)
		}
	}
	return nil
}
