// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockJournal keeps a second daemon off a journal: it would take notes of moves under
// way for those of one that has died, and remove the addresses that are coming. The
// lock ends with the process, however that ends.
func lockJournal(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("journal of moves: %w", err)
	}
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("journal of moves: %w", err)
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another scd has it")
	}
	if err != nil {
		return nil, fmt.Errorf("journal of moves in %s: %w", folder, errors.Join(err, f.Close()))
	}
	return f, nil
}
