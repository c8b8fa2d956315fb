// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// sharedVM is the machine of one configuration. It goes when its place is
// needed and no test uses it, and is booted again for the next that does.
type sharedVM struct {
	boot  sync.Mutex // held while it is booted or taken down
	vm    *VM
	users int       // tests, under places' lock
	since time.Time // of its last user's end
}

// Shared returns a VM that all tests of the package with this configuration
// share; the first boots it. The package needs
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }
//
// A test that leaves the VM dirty calls its Reset.
func Shared(t testing.TB, c Config) *VM {
	t.Helper()
	Need(t)
	key := fmt.Sprintf("%+v", c)
	s := use(t, key)
	s.boot.Lock()
	defer s.boot.Unlock()
	if s.vm != nil && s.vm.Ping(t.Context()) == nil {
		return s.vm
	}
	if s.vm != nil { // a former test killed it: this one gets a new one
		s.vm.Down()
		s.vm = nil
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d %s", filepath.Base(os.Args[0]), os.Getpid(), key)
	ctx, cancel := context.WithTimeout(context.Background(), placeBound)
	defer cancel()
	vm, err := Up(ctx, fmt.Sprintf("t-%08x", h.Sum32()), c)
	if err != nil {
		t.Fatal(err)
	}
	s.vm = vm
	return vm
}

// use counts a test among the machine's users until its end.
func use(t testing.TB, key string) *sharedVM {
	t.Helper()
	places.Lock()
	defer places.Unlock()
	if places.shared == nil {
		t.Fatal("lab.Shared: the package's TestMain does not call lab.Main")
	}
	s := places.shared[key]
	if s == nil {
		s = &sharedVM{}
		places.shared[key] = s
	}
	s.users++
	t.Cleanup(s.release)
	return s
}

func (s *sharedVM) release() {
	places.Lock()
	defer places.Unlock()
	s.users--
	s.since = time.Now()
}

// longestIdle returns the machine that has been without users for longest, with
// its caller as a user; nil if none is. The caller holds places' lock.
func longestIdle() *sharedVM {
	var found *sharedVM
	for _, s := range places.shared {
		if s.users == 0 && s.vm != nil && (found == nil || s.since.Before(found.since)) {
			found = s
		}
	}
	if found != nil {
		found.users++
	}
	return found
}

// leave takes the machine down for its only user, who made room by it; not if a
// test has come meanwhile.
func (s *sharedVM) leave() error {
	defer s.release()
	s.boot.Lock()
	defer s.boot.Unlock()
	places.Lock()
	wanted := s.users > 1
	places.Unlock()
	if wanted || s.vm == nil {
		return nil
	}
	vm := s.vm
	s.vm = nil
	return vm.Down()
}
