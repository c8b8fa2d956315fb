// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"lazystate/internal/atomicfile"
)

var errLong = errors.New("too much of it")

// node is a middle tier's.
type node struct{ name, addr string }

// nodesOf reads "mt1=host:port,mt2=host:port".
func nodesOf(text string) (all []node, err error) {
	for _, part := range strings.Split(text, ",") {
		name, addr, ok := strings.Cut(part, "=")
		if !ok || name == "" || slices.ContainsFunc(all, func(n node) bool { return n.name == name }) {
			return nil, fmt.Errorf("middle tiers: NAME=ADDRESS,... with a name each: %q", text)
		}
		all = append(all, node{name, addr})
	}
	return all, nil
}

// tier is the middle tiers as a front end knows them. All front ends have to be told
// the same ones in the same order: who asks for a session that was another's asks the
// middle tier that the other one has asked.
type tier struct {
	nodes []node
	notes string

	mu      sync.Mutex
	instead map[string]string // of one that is dead, by name; of a session of its, by sessionAt
	changed chan struct{}     // closed when instead has changed
	lines   map[net.Conn]asking
}

// asking is who asks over a connection, and whom.
type asking struct{ node, session string }

// sessionAt names a session whose records another middle tier has before it has all of
// the dead one's.
func (a asking) sessionAt() string { return a.node + " " + a.session }

// newTier knows what the process before was told.
func newTier(nodes []node, notes string) (*tier, error) {
	t := &tier{nodes: nodes, notes: notes, instead: map[string]string{}, changed: make(chan struct{}), lines: map[net.Conn]asking{}}
	if notes == "" {
		return t, nil
	}
	b, err := os.ReadFile(notes)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &t.instead)
	}
	if err != nil {
		return nil, fmt.Errorf("notes of dead middle tiers: %w", err)
	}
	return t, nil
}

// of is the middle tier that a session's requests go to, until changed is closed.
func (t *tier) of(session string) (n node, changed <-chan struct{}) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(session))
	n = t.nodes[h.Sum32()%uint32(len(t.nodes))]
	t.mu.Lock()
	defer t.mu.Unlock()
	for range t.nodes { // a circle is not followed for ever
		name, dead := t.insteadOf(asking{n.name, session})
		if !dead {
			break
		}
		n = t.nodes[t.index(name)]
	}
	return n, t.changed
}

// insteadOf is who has what a session is to be told of a middle tier that is dead; mu is
// held.
func (t *tier) insteadOf(a asking) (name string, dead bool) {
	if name, dead = t.instead[a.sessionAt()]; !dead {
		name, dead = t.instead[a.node]
	}
	return name, dead
}

func (t *tier) index(name string) int {
	return slices.IndexFunc(t.nodes, func(n node) bool { return n.name == name })
}

// replace has another middle tier asked in the place of one that is dead, also for what
// is under way; for these sessions alone, if there are any. Those stay with it whatever is
// said of the others later: by then it has what came after the dead one's records.
func (t *tier) replace(dead, by string, sessions ...string) error {
	if t.index(dead) < 0 || t.index(by) < 0 || dead == by {
		return fmt.Errorf("%q in the place of %q: these are no middle tiers", by, dead)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(sessions) == 0 {
		t.instead[dead] = by
	}
	for _, s := range sessions {
		t.instead[asking{dead, s}.sessionAt()] = by
	}
	err := t.note() // who asks need not wait for that; the monitor is told, and says it again
	close(t.changed)
	t.changed = make(chan struct{})
	for c, a := range t.lines {
		if _, gone := t.insteadOf(a); gone {
			_ = c.Close()
		}
	}
	return err
}

// note has the next process know; mu is held.
func (t *tier) note() error {
	if t.notes == "" {
		return nil
	}
	b, err := json.Marshal(t.instead)
	if err != nil {
		return err
	}
	return atomicfile.Write(t.notes, b, 0o600)
}

// add notes a connection to a middle tier, for a session; it is closed when that turns out
// to be dead, or is already.
func (t *tier) add(c net.Conn, name, session string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := asking{name, session}
	t.lines[c] = a
	if _, gone := t.insteadOf(a); gone {
		_ = c.Close()
	}
}

func (t *tier) drop(c net.Conn) {
	t.mu.Lock()
	delete(t.lines, c)
	t.mu.Unlock()
	_ = c.Close()
}
