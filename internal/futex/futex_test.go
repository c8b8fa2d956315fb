// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/internal/memfd"
)

// words are two of one page that is mapped twice, as by two processes.
func words(t *testing.T) (here, there [2]*atomic.Uint32) {
	t.Helper()
	fd, err := memfd.Sealed("futex", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, w := range []*[2]*atomic.Uint32{&here, &there} {
		b, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Munmap(b) })
		w[0], w[1] = (*atomic.Uint32)(unsafe.Pointer(&b[0])), (*atomic.Uint32)(unsafe.Pointer(&b[64]))
	}
	return here, there
}

// long is longer than any test waits for.
const long = 10 * time.Minute

// Who sleeps is woken through another mapping of the word, either of the two.
func TestWake(t *testing.T) {
	here, there := words(t)
	waits := []func(){
		func() { Wait(here[0], 0, long) },
		func() { WaitEither(here[0], 0, here[1], 0, long) },
		func() { WaitEither(here[1], 0, here[0], 0, long) },
	}
	for i, wait := range waits {
		done := make(chan bool)
		go func() {
			for here[0].Load() == 0 {
				wait()
			}
			close(done)
		}()
		time.Sleep(time.Millisecond) // it sleeps, maybe
		there[0].Store(1)
		Wake(there[0])
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("wait %d sleeps on", i)
		}
		there[0].Store(0)
	}
}

// A word that has changed already is not slept on, and no sleep is for ever.
func TestWaitEnds(t *testing.T) {
	here, _ := words(t)
	begin := time.Now()
	Wait(here[0], 7, long)
	WaitEither(here[0], 0, here[1], 7, long)
	if d := time.Since(begin); d > long/2 {
		t.Errorf("%v", d)
	}
	Wait(here[0], 0, time.Millisecond)
	WaitEither(here[0], 0, here[1], 0, time.Millisecond)
	if d := time.Since(begin); d < 2*time.Millisecond {
		t.Errorf("two waits of a millisecond took %v", d)
	}
}
