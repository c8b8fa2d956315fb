// SPDX-License-Identifier: Apache-2.0

package dsm

import "testing"

// Nodes with other homes or logs are told apart, others not.
func TestDigest(t *testing.T) {
	homed := func(how func(Page) (NodeID, bool)) Config {
		return Config{Nodes: 4, Pages: 10000, PageSize: 64, Home: how}
	}
	plain := homed(nil)
	other := plain
	other.Self, other.Ahead, other.Shelves, other.Races = 3, 5, true, true
	if plain.Digest() != other.Digest() {
		t.Error("who it is, and what it does for itself, is no difference")
	}
	seen := map[uint32]int{}
	for i, c := range []Config{
		plain,
		homed(func(Page) (NodeID, bool) { return 0, true }),
		homed(func(p Page) (NodeID, bool) { return NodeID(p % 4), true }),
		homed(func(p Page) (NodeID, bool) { return NodeID(p / 2500), true }),
		homed(func(p Page) (NodeID, bool) { return 0, p < 5000 }),
		{Nodes: 4, Pages: 10000, PageSize: 64, PerPage: true},
		{Nodes: 4, Pages: 10000, PageSize: 64, Unlogged: true},
		{Nodes: 4, Pages: 10000, PageSize: 64, Fanout: 2},
	} {
		if j, is := seen[c.Digest()]; is {
			t.Errorf("configurations %d and %d are not told apart", j, i)
		}
		seen[c.Digest()] = i
	}
	_ = Config{}.Digest() // of no page
}
