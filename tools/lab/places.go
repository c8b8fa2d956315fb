// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/pause"
)

const (
	onHost    = 3 // machines that two cores bear at the same time, whoever boots them
	slotsName = "slots"
	placesEnv = "LAZYSTATE_LAB_PLACES" // set for children: their machines are in their parent's places
)

// places are what this process may boot machines in. Tests take all of theirs
// from the host at once, for the life of the process: who holds some while he
// waits for more would wait for another who does the same.
var places struct {
	sync.Mutex
	most   int // Main's; 0: no tests, or tests that have one at a time
	taken  int
	up     int
	slots  []*os.File
	shared map[string]*sharedVM // nil unless the package's TestMain calls Main
}

// reserve takes the process's places from the host, unless it has.
func reserve(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		if places.taken > 0 {
			return true, nil
		}
		return take(max(places.most, 1))
	})
}

// enter takes one of the process's places for a machine that is to boot. A
// shared one that no test uses is taken down for it.
func enter(ctx context.Context) error {
	for {
		var idle *sharedVM
		err := poll(ctx, func() (ok bool, err error) {
			switch idle = nil; {
			case places.up < places.taken:
				ok = true
			case places.taken == 0:
				ok, err = take(max(places.most, 1))
			case places.most == 0:
				ok, err = take(1)
			default:
				idle = longestIdle()
				return idle != nil, nil
			}
			if ok {
				places.up++
			}
			return ok, err
		})
		if err != nil || idle == nil {
			return err
		}
		if err := idle.leave(); err != nil {
			return err
		}
	}
}

// leave gives a machine's place back.
func leave() {
	places.Lock()
	places.up--
	places.Unlock()
}

func poll(ctx context.Context, try func() (bool, error)) error {
	for {
		places.Lock()
		ok, err := try()
		up, taken := places.up, places.taken
		places.Unlock()
		if ok || err != nil {
			return err
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("no place for a machine: this process has %d of its %d, this host has %d (see bdlab ls): %w", up, taken, onHost, err)
		}
	}
}

// take takes n places of the host, or none.
func take(n int) (bool, error) {
	if given, err := strconv.Atoi(os.Getenv(placesEnv)); err == nil && places.taken == 0 && n <= given {
		places.taken = given
		return true, nil
	}
	var got []*os.File
	err := locked(func() error {
		dir := filepath.Join(stateRoot, slotsName)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for i := 0; i < onHost && len(got) < n; i++ {
			f, err := flock(filepath.Join(dir, fmt.Sprint(i)))
			if err == nil {
				got = append(got, f)
			} else if !errors.Is(err, unix.EWOULDBLOCK) {
				return err
			}
		}
		return nil
	})
	if err != nil || len(got) < n {
		for _, f := range got {
			f.Close()
		}
		return false, err
	}
	places.slots = append(places.slots, got...)
	places.taken += n
	return true, os.Setenv(placesEnv, fmt.Sprint(places.taken))
}
