// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"strings"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// The first heir has the sessions, whoever fences again, until it is superseded by name;
// it does not get them back by asking.
func TestHeir(t *testing.T) {
	target := lockable(bdtest.WithFence())
	bt := open(t, target)
	one, two := backdoor.HeirOf("rn1"), backdoor.HeirOf("rn2")
	if one == two || one == 0 || backdoor.HeirOf("") == 0 {
		t.Fatal(one, two)
	}
	if h, err := bt.Heir(t.Context()); h != 0 || err != nil {
		t.Errorf("nobody has fenced it: %v, %v", h, err)
	}
	for i, c := range []struct {
		slot            uint32
		heir, supersede backdoor.Heir
		refused         bool
		want            backdoor.Heir
	}{
		{slot: 2, want: 0},
		{slot: 2, heir: one, want: one},
		{slot: 2, heir: one, want: one},
		{slot: 3, want: one}, // which repeats it
		{slot: 2, want: one},
		{slot: 3, heir: two, refused: true, want: one},
		{slot: 3, heir: two, supersede: two, refused: true, want: one},
		{slot: 3, heir: two, supersede: one, want: two},
		{slot: 3, heir: two, supersede: one, want: two}, // once more
		{slot: 2, heir: one, refused: true, want: two},
		{slot: 2, want: two},
		{slot: 2, heir: one, supersede: two, want: one},
	} {
		err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: c.slot, Key: key, Heir: c.heir, Supersedes: c.supersede})
		var other *backdoor.HeirError
		if errors.As(err, &other) != c.refused || err != nil && other == nil {
			t.Errorf("%d: %v", i, err)
		}
		if other != nil && (other.Is != c.want || other.Wanted != c.heir) {
			t.Errorf("%d: %+v", i, other)
		}
		if h, err := bt.Heir(t.Context()); h != c.want || err != nil {
			t.Errorf("%d: the heir is %v, not %v: %v", i, h, c.want, err)
		}
	}
	if _, err := open(t, lockable()).Heir(t.Context()); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("of a target without a fence: %v", err)
	}
}

// Who may write a fence and not read any fences all the same, and names the heir.
func TestHeirUnseen(t *testing.T) {
	target := lockable(bdtest.WithFence())
	bt := open(t, target)
	area := target.Area(uapi.KindFence)
	target.Memory().Before(func(_ int, op *backdoor.Op) error {
		if op.Kind == backdoor.OpRead && op.Addr >= area && op.Addr < area+uapi.FenceSize {
			return &backdoor.AccessError{Op: op.Kind, Addr: op.Addr, Len: len(op.Buf), Region: "fence", Why: "not for you"}
		}
		return nil
	})
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: key, Heir: backdoor.HeirOf("rn1")}); err != nil || !target.Fenced() {
		t.Fatal(err)
	}
	target.Memory().Before(nil)
	if h, err := bt.Heir(t.Context()); h != backdoor.HeirOf("rn1") || err != nil {
		t.Errorf("the heir is %v: %v", h, err)
	}
}

// Who may not fence names no heir: the target has refused its request, or it is no request.
func TestHeirOfWhoMayNotFence(t *testing.T) {
	target := lockable(bdtest.WithFence())
	bt := open(t, target)
	one, other := backdoor.HeirOf("rn1"), backdoor.HeirOf("rn2")
	var no *backdoor.LockRefusedError
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 4, Heir: other}); !errors.As(err, &no) || target.Fenced() {
		t.Fatalf("without a key: %v", err)
	}
	q := uapi.FenceReq{Want: uapi.FenceWant, Heir: uint32(other), Monitor: 5, Seq: 1 << 62} // and there is no such commit word
	target.Poke(target.Area(uapi.KindFence)+5*uapi.FenceReqSize, q.Encode())
	q.Commit, q.Seq = 1, 1<<62+1 // another's slot
	target.Poke(target.Area(uapi.KindFence)+6*uapi.FenceReqSize, q.Encode())
	check := func(want backdoor.Heir) {
		t.Helper()
		if h, err := bt.Heir(t.Context()); h != want || err != nil {
			t.Errorf("the heir is %v, not %v: %v", h, want, err)
		}
	}
	check(0)
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 2, Key: key, Heir: one}); err != nil {
		t.Fatal(err)
	}
	check(one)
	var is *backdoor.HeirError
	if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 3, Key: key, Heir: other}); !errors.As(err, &is) || is.Is != one {
		t.Errorf("it is another's: %v", err)
	}
}

// An heir whose name nobody knows is superseded by its number, as the error says it.
func TestHeirByNumber(t *testing.T) {
	for _, name := range []string{"rn1", "heir-1234", "heir-1234abcd", "heir-00000001", "heir-00000000", "heir-1234ABCD", "heir-1234abcde", "heir-"} {
		h := backdoor.HeirOf(name)
		number, ok := strings.CutPrefix(h.String(), "recovery node ")
		if !ok || backdoor.HeirOf(number) != h {
			t.Errorf("%s: %v is not %s", name, h, number)
		}
		if isNumber := name == "heir-1234abcd" || name == "heir-00000001"; (number == name) != isNumber {
			t.Errorf("%s: %v", name, h)
		}
	}
}
