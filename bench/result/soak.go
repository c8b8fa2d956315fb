// SPDX-License-Identifier: Apache-2.0

package result

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/atomicfile"
)

// Soak is what came of one test that was repeated for long.
type Soak struct {
	Test   string         `json:"test"`
	Seed   uint64         `json:"seed"`
	Runs   int            `json:"runs"` // that have ended
	Good   bool           `json:"good"`
	Begun  time.Time      `json:"begun"`
	Took   float64        `json:"seconds"`
	Counts map[string]int `json:"counts"`

	Machine Machine `json:"machine"`
	Source  string  `json:"source"` // commit of the tree it ran in
}

// Save puts it into a file of them, in place of what the same test has left there.
// The file is whole at any time.
func (s *Soak) Save(ctx context.Context, path string) error {
	var err error
	if s.Source, err = Source(ctx); err != nil {
		return err
	}
	s.Machine = Host()
	s.Machine.VM()
	lock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("record of soaks %s: %w", path, err)
	}
	defer lock.Close()
	var all []*Soak
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record of soaks %s: %w", path, err)
	}
	all = slices.DeleteFunc(all, func(o *Soak) bool { return o == nil || o.Test == s.Test })
	return WriteRecord(path, append(all, s))
}

// lockFolder keeps other processes from a folder's records: suites run side by side.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// WriteRecord has a file say v, in JSON. The file is whole at any time: what is
// recorded takes hours, and may be interrupted.
func WriteRecord(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = atomicfile.Write(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", path, err)
	}
	return nil
}
