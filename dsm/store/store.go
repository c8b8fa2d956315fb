// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/logs"
)

// Store is a node's checkpoints. It is safe for concurrent use.
type Store struct {
	cfg   dsm.Config
	inc   uint32
	locks []*os.File

	mu      sync.Mutex
	folders []*folder
}

// Past is what a node restarts from.
type Past struct {
	State   *dsm.State // the last checkpoint that is whole; nil: the beginning
	Private []byte
	Window  []logs.Kept // for dsm.Restart
	Damaged []error     // what cannot be read, and why
}

// Open takes a node's folder, and copies of it.
func Open(cfg dsm.Config, dirs ...string) (*Store, error) {
	s := &Store{cfg: cfg}
	err := errors.New("no folder")
	for _, dir := range dirs {
		var l *os.File
		if l, err = lock(dir); err != nil {
			break
		}
		s.locks = append(s.locks, l)
	}
	if err == nil {
		err = s.open(osDisk{}, dirs)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoints of %v: %w", cfg.Self, err), s.unlock())
	}
	return s, nil
}

// patience is how long a folder's lock is waited for: of a process that was just
// killed, or of somebody who only looks.
const patience = 2 * time.Second

// lock makes a folder this process's, and the folder if there is none. The system
// ends a lock with its process.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
		case time.Now().Before(end):
			continue
		default:
			err = errors.New("another process has it")
		}
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
}

// open reads the folders.
func (s *Store) open(d disk, dirs []string) error {
	for _, dir := range dirs {
		f, err := openFolder(d, dir, clusterOf(s.cfg))
		if err != nil {
			return err
		}
		s.folders = append(s.folders, f)
	}
	return nil
}

// Begin begins the node's next incarnation, above all before: in every folder, before
// it returns. The first is 1, and there is no past then. If the last checkpoint
// cannot be read anywhere, an older one is the past: other nodes refuse it if they
// have been told of the newer.
func (s *Store) Begin() (incarnation uint32, past *Past, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if past, err = s.settle(); err != nil {
		return 0, nil, fmt.Errorf("checkpoints of %v: %w", s.cfg.Self, err)
	}
	for _, f := range s.folders {
		next := f.win
		next.Incarnation = s.inc
		if err := f.note(next); err != nil {
			return 0, nil, fmt.Errorf("checkpoints of %v: begin incarnation %d: %w", s.cfg.Self, s.inc, err)
		}
	}
	return s.inc, past, nil
}

// Save makes a checkpoint safe, with the program's private state: for dsm.Saved if
// it is nil, else for dsm.NotSaved. Neither may change meanwhile.
func (s *Store) Save(st *dsm.State, private []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	img, err := encode(clusterOf(s.cfg), st, private, s.inc)
	if err != nil {
		return fmt.Errorf("checkpoint %d of %v: %w", st.Number, s.cfg.Self, err)
	}
	for i, f := range s.folders {
		if err := f.save(img); err != nil {
			for _, done := range s.folders[:i] {
				err = errors.Join(err, done.undo(st.Number))
			}
			return fmt.Errorf("checkpoint %d of %v: %w", st.Number, s.cfg.Self, err)
		}
	}
	return nil
}

// Written is how many bytes Save has written, in all folders.
func (s *Store) Written() (bytes uint64) {
	for _, f := range s.folders {
		bytes += f.written.Load()
	}
	return bytes
}

// undo takes back a checkpoint that is not in every folder.
func (f *folder) undo(number uint32) error {
	c := f.find(number)
	if err := f.note(f.win.without(number)); err != nil {
		return err
	}
	f.ckpts = f.ckpts[:len(f.ckpts)-1]
	return f.bury(c.number)
}

// Page returns a page of a checkpoint, for dsm.Loaded.
func (s *Store) Page(number uint32, p dsm.Page) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for _, f := range s.folders {
		b, err := f.read(number, p)
		if err == nil {
			return b, nil
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

// Discard removes a checkpoint that nobody needs any more. Its room is free before
// the next is written.
func (s *Store) Discard(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.folders {
		f.discard(number)
	}
}

// DiscardPage does that for a page of one.
func (s *Store) DiscardPage(number uint32, p dsm.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.folders {
		f.discardPage(number, p)
	}
}

// Close frees the room of what was discarded and lets go of the folders.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for _, f := range s.folders {
		all = errors.Join(all, f.reclaim())
	}
	return errors.Join(all, s.unlock())
}

func (s *Store) unlock() (err error) {
	for _, l := range s.locks {
		err = errors.Join(err, l.Close())
	}
	s.locks = nil
	return err
}
