// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// MapFile makes a file of size bytes and maps it shared until the test ends: RAM
// or BAR of a machine (WithBacking) that a carrier opens by its path.
func MapFile(t testing.TB, path string, size int) []byte {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return b
}

// Run lets the target's CPUs and its clock run on their own, a Tick and a Step at
// a time, until stop is called.
func (t *Target) Run(every time.Duration) (stop func()) {
	ticker := time.NewTicker(every)
	done := make(chan struct{})
	var cpus sync.WaitGroup
	cpus.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				t.Tick(every)
				t.Step()
			}
		}
	})
	return sync.OnceFunc(func() { ticker.Stop(); close(done); cpus.Wait() })
}
