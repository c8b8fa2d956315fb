// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"lazystate/dsm"
)

// meeting is a folder where each node has a file that says where it is.
type meeting struct {
	dir  string
	boot string // this machine's boot id: whoever has the same is on it; "": do not ask
}

// place is where a node listens.
type place struct {
	TCP  string `json:"tcp"`
	Unix string `json:"unix,omitempty"`
	Boot string `json:"boot,omitempty"` // of the machine that the path is of
}

func (m meeting) file(i dsm.NodeID) string { return filepath.Join(m.dir, fmt.Sprintf("node-%d", i)) }

// tell writes where a node is, whole or not at all.
func (m meeting) tell(i dsm.NodeID, p place) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(m.dir, "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.file(i))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// address is where a node was last, "" if it was not there yet: by shared memory,
// if it is on this machine and its socket can be seen from here.
func (m meeting) address(i dsm.NodeID) string {
	b, err := os.ReadFile(m.file(i))
	if err != nil {
		return ""
	}
	var p place
	if err := json.Unmarshal(b, &p); err != nil {
		return ""
	}
	if p.Unix != "" && p.Boot == m.boot {
		if _, err := os.Stat(p.Unix); err == nil {
			return "unix:" + p.Unix
		}
	}
	return p.TCP
}

// bootID is this machine's since it was started, "" if it is not known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
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
