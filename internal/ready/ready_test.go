// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestNow(t *testing.T) {
	r, w := pipe(t)
	fd := r.Fd()
	expect := func(want int16, when string) {
		t.Helper()
		got, err := Now(fd, unix.POLLIN)
		if err != nil || got != want {
			t.Errorf("%s: %#x, %v, want %#x", when, got, err, want)
		}
	}
	expect(0, "an empty pipe")
	if _, err := w.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	expect(unix.POLLIN, "a byte in it")
	w.Close()
	expect(unix.POLLIN|unix.POLLHUP, "its writer has closed")
	r.Close()
	expect(unix.POLLNVAL, "closed")
}

// A thread that gets one signal after the other never sees EINTR.
func TestSignals(t *testing.T) {
	r, _ := pipe(t)
	fd := r.Fd()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	me, over, done := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			default:
				_ = unix.Tgkill(os.Getpid(), me, unix.SIGURG) // which Go's scheduler uses and programs ignore
			}
		}
	}()
	defer func() { close(over); <-done }()
	for range 100_000 {
		if got, err := Now(fd, unix.POLLIN); got != 0 || err != nil {
			t.Fatalf("%#x, %v", got, err)
		}
	}
}
