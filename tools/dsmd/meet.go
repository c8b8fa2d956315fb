// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"lazystate/dsm"
)

// meeting is a folder where each node has a file with its address.
type meeting struct{ dir string }

func (m meeting) file(i dsm.NodeID) string { return filepath.Join(m.dir, fmt.Sprintf("address-%d", i)) }

// tell writes a node's address, whole or not at all.
func (m meeting) tell(i dsm.NodeID, addr string) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(m.dir, "new-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(addr + "\n")
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), m.file(i))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// address is where a node was last, "" if it was not there yet.
func (m meeting) address(i dsm.NodeID) string {
	b, err := os.ReadFile(m.file(i))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// reached is how others reach a listener: name is the host's, if it is not its own.
func reached(l net.Listener, name string) string {
	addr := l.Addr().String()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	ip := net.ParseIP(host)
	switch {
	case name != "":
		host = name
	case ip != nil && ip.IsUnspecified():
		if own, err := os.Hostname(); err == nil {
			host = own
		}
	}
	return net.JoinHostPort(host, port)
}

func parseKey(s string) (key [16]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return key, err
	}
	if len(b) != len(key) {
		return key, fmt.Errorf("%d bytes, not %d", len(b), len(key))
	}
	return [16]byte(b), nil
}
