// SPDX-License-Identifier: Apache-2.0

package meet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"lazystate/dsm"
	"lazystate/internal/sockaddr"
)

// Key is what all nodes of a run have, and nobody else.
type Key [16]byte

// Meeting is of one run.
type Meeting interface {
	// Key is the run's; whoever asks first draws it.
	Key(ctx context.Context) (Key, error)
	// Tell says where a node is from now on.
	Tell(ctx context.Context, node dsm.NodeID, p Place) error
	// Find is where a node was last; not ok: it was not there yet.
	Find(ctx context.Context, node dsm.NodeID) (p Place, ok bool, err error)
}

// Place is where a node listens.
type Place struct {
	TCP  string `json:"tcp"`
	Unix string `json:"unix,omitempty"` // path, for nodes on the same machine
	Boot string `json:"boot,omitempty"` // id of that
	RDMA string `json:"rdma,omitempty"` // URL, for nodes that have one too
}

// longest is more than a Place or Key needs.
const longest = 4096

func parsePlace(b []byte) (p Place, err error) {
	if len(b) > longest {
		return p, fmt.Errorf("%d bytes that say where a node is", len(b))
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("where a node is: %w", err)
	}
	return p, nil
}

func newKey() string {
	var k Key
	rand.Read(k[:]) // never fails
	return hex.EncodeToString(k[:])
}

func parseKey(s string) (k Key, err error) {
	b, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("the run's key is none: %d bytes", len(b)) // and not its text
	}
	return Key(b), nil
}

// patience bounds one look.
const patience = 5 * time.Second

// Address is for the transport of a node that is here: where to connect to another, ""
// for nowhere. By shared memory, if that is on this machine and its socket can be seen
// from here; else over RDMA, if both listen so.
func Address(m Meeting, here Place) func(dsm.NodeID) (string, error) {
	return func(node dsm.NodeID) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p, ok, err := m.Find(ctx, node)
		if err != nil || !ok {
			return "", err // it is asked again
		}
		if p.Unix != "" && p.Boot == here.Boot {
			if _, err := os.Stat(p.Unix); err == nil {
				return "unix:" + p.Unix, nil
			}
		}
		if p.RDMA != "" && here.RDMA != "" {
			return p.RDMA, nil
		}
		return p.TCP, nil
	}
}

// Boot is this machine's id since it was started, "" if it is not known.
func Boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Reached is how others reach a listener. name is the host's; "" is what the
// listener says or, if that listens everywhere, the address that this host has towards
// others: its own name they may not know, as that of a pod. Without a route it is the name.
func Reached(l net.Listener, name string) string {
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
		host = own(host)
	}
	return net.JoinHostPort(host, port)
}

// outside are addresses that are nobody's (RFC 5737, RFC 3849).
var outside = []string{"192.0.2.1:9", "[2001:db8::1]:9"}

func own(otherwise string) string {
	for _, a := range outside {
		if ip, err := sockaddr.Source(netip.MustParseAddrPort(a)); err == nil {
			return ip.String()
		}
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return otherwise
}
