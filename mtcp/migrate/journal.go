// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// journal outlives the daemon: it notes which moves were let live here, before
// they are. It lies in memory (/run): a machine that boots has no sockets, so
// that nothing lives there is then right.
type journal string

func (j journal) file(id ID) string { return filepath.Join(string(j), hex.EncodeToString(id[:])) }

func (j journal) open() error {
	if err := os.MkdirAll(string(j), 0o700); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) note(id ID) error {
	if err := os.WriteFile(j.file(id), nil, 0o600); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

// strike takes a note back: nothing of the move lives, or will.
func (j journal) strike(id ID) error {
	if err := os.Remove(j.file(id)); err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	return nil
}

func (j journal) noted(id ID) bool {
	_, err := os.Stat(j.file(id))
	return err == nil
}

// prune forgets notes that nobody asks for any more.
func (j journal) prune(age time.Duration) error {
	entries, err := os.ReadDir(string(j))
	if err != nil {
		return fmt.Errorf("journal of moves: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > age {
			_ = os.Remove(filepath.Join(string(j), e.Name())) // the next time, then
		}
	}
	return nil
}
