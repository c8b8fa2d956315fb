// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// owned are the VMs this process booted and has to end.
var owned struct {
	sync.Mutex
	vms []*VM
}

// DownAll ends every VM this process owns.
func DownAll() error {
	owned.Lock()
	defer owned.Unlock()
	var errs []error
	for _, vm := range owned.vms {
		errs = append(errs, vm.Down())
	}
	owned.vms = nil
	return errors.Join(errs...)
}

// Main runs the tests of a package and takes its VMs down, also at ^C. They
// have at most so many machines at the same time, of three on this host: a test
// that needs one more waits for another's end.
func Main(m *testing.M, machines int) int {
	places.most, places.shared = min(machines, onHost), map[string]*sharedVM{}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		DownAll()
		os.Exit(130)
	}()
	code := m.Run()
	if err := DownAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
