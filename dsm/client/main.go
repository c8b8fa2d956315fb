// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"lazystate/dsm/call"
)

// SocketVariable of the environment has the path where the node's daemon listens.
const SocketVariable = "DSM_SOCKET"

// Main runs a program as the process of a node, whose daemon has started it: see
// dsmrun. The process belongs to the daemon from now on, and is killed when that
// dies.
func Main(program func(*Node) error) error {
	path := os.Getenv(SocketVariable)
	if path == "" {
		return fmt.Errorf("%s is not set: programs of the DSM are started by dsmrun", SocketVariable)
	}
	runtime.LockOSThread() // the daemon knows who may use the memory
	defer runtime.UnlockOSThread()
	p, err := call.Join(path)
	if err != nil {
		return err
	}
	return errors.Join(joined(p, program), p.Close())
}

func joined(p *call.Program, program func(*Node) error) error {
	image, _, err := p.Restored()
	if err != nil {
		return err
	}
	w := p.Welcome
	n, err := newNode(setup{int(w.Node), int(w.Nodes), int(w.PageSize), int(w.Locks), int(w.Conds), p.Region, image}, p)
	if err != nil {
		return err
	}
	return guard(n, program)
}
