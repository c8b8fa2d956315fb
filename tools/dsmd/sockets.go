// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sockets is the folder of a life's sockets, locked for as long as the life lasts: the
// system ends the lock of who is killed, and by that the next dsmd of the same user knows
// that the folder is nobody's.
type sockets struct {
	dir  string
	lock *os.File
}

const socketsPrefix = "dsmd-"

// openSockets makes the folder, and removes those of lives that were killed.
func openSockets() (*sockets, error) {
	sweepSockets(os.TempDir(), time.Now())
	dir, err := os.MkdirTemp("", socketsPrefix)
	if err != nil {
		return nil, err
	}
	s := &sockets{dir: dir}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sockets) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sockets) close() error {
	err := os.RemoveAll(s.dir)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// lockFolder locks a folder, if nobody else has.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// begins is for how long a folder may be there before it is locked.
const begins = time.Minute

// sweepSockets removes this user's folders that nobody has locked. What it cannot remove
// hurts nobody.
func sweepSockets(in string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(in, socketsPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < begins {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() {
			continue
		}
		if f, err := lockFolder(dir); err == nil {
			_ = os.RemoveAll(dir)
			f.Close()
		}
	}
}
