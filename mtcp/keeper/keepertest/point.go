// SPDX-License-Identifier: Apache-2.0

package keepertest

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What the environment of a process may say: that it dies when it comes to a point
// of its work for the n-th time, "exported:2", or waits there as long as a file
// exists, which it makes: "exported:2:/tmp/there".
const (
	DieAt  = "KEEPERTEST_DIE_AT"
	WaitAt = "KEEPERTEST_WAIT_AT"
)

var points struct {
	sync.Mutex
	seen map[string]int
}

// At is told which point of the work has been reached.
func At(point string) {
	points.Lock()
	defer points.Unlock()
	if points.seen == nil {
		points.seen = map[string]int{}
	}
	points.seen[point]++
	now := point + ":" + strconv.Itoa(points.seen[point])
	if os.Getenv(DieAt) == now {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	if file, ok := strings.CutPrefix(os.Getenv(WaitAt), now+":"); ok {
		_ = os.WriteFile(file, nil, 0o600)
		for _, err := os.Stat(file); err == nil; _, err = os.Stat(file) {
			time.Sleep(time.Millisecond)
		}
	}
}

// Await waits for a file: for a process to come to where it is to wait.
func Await(t testing.TB, file string) {
	t.Helper()
	for until := time.Now().Add(Hang); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s: it does not come so far", file)
		}
	}
}
