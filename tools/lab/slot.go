// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/pause"
)

const (
	slots     = 3
	slotsName = "slots"
	slotEnv   = "LAZYSTATE_LAB_SLOT" // set for children: they run in their parent's slot
)

var slot struct {
	sync.Mutex
	held *os.File
}

// takeSlot takes one of the machine's slots for the life of this process: a
// test, its VMs and the commands it starts are one user of two cores.
func takeSlot(ctx context.Context) error {
	slot.Lock()
	defer slot.Unlock()
	if slot.held != nil || os.Getenv(slotEnv) != "" {
		return nil
	}
	dir := filepath.Join(stateRoot, slotsName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for {
		for i := range slots {
			path := filepath.Join(dir, fmt.Sprint(i))
			f, err := flock(path)
			if err == nil {
				slot.held = f
				return os.Setenv(slotEnv, path)
			}
			if !errors.Is(err, unix.EWOULDBLOCK) {
				return err
			}
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("all %d slots of the lab are taken (see bdlab ls): %w", slots, err)
		}
	}
}

func waitFlock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := flock(path)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return f, err
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
