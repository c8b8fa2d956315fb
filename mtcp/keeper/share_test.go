// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"lazystate/backdoor/uapi"
	"lazystate/internal/freeport"
	"lazystate/mtcp/cbox"
)

// adopt takes on what comes from elsewhere.
func adopt(k *Keeper, uid uint32, name string, box *cbox.Box, conn *Conn) error {
	room, err := k.Reserve(uid, name, box.Region())
	if err != nil {
		return err
	}
	defer room.Free()
	return room.Adopt(box, conn, nil)
}

// A process is told which limit it is, and of whom; another user goes on.
func TestRefusalNamesTheLimit(t *testing.T) {
	me := uint32(os.Getuid())
	for _, c := range []struct {
		cfg  Config
		want LimitError
		text string
	}{
		{Config{User: Share{Sessions: 1}}, LimitError{uapi.ScdSessions, true, 1}, "at most 1 sessions of one user"},
		{Config{User: Share{Sessions: 9}, Users: map[uint32]Share{me: {Sessions: 1}}}, LimitError{uapi.ScdSessions, true, 1}, "at most 1 sessions of one user"},
		{Config{Sessions: 1}, LimitError{uapi.ScdSessions, false, 1}, "at most 1 sessions of all users"},
		{Config{User: Share{Bytes: 100 << 10}}, LimitError{uapi.ScdBytes, true, 100 << 10}, "at most 102400 bytes of boxes of one user"},
		{Config{Box: 64 << 10}, LimitError{uapi.ScdBox, false, 64 << 10}, "at most 65536 bytes in a box"},
	} {
		k, socket := kept(t, c.cfg)
		w := web(t, socket, "web")
		accept(t, w, cbox.Config{})
		_, err := cbox.Create(newConn(t), w.Config(cbox.Config{Log: 64 << 10}))
		over := (*LimitError)(nil)
		if !errors.As(err, &over) || *over != c.want || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
		if n := k.Refused(); c.want.Limit != uapi.ScdBox && n != 1 {
			t.Errorf("%+v: %d were refused", c.cfg, n)
		}
		if c.want.User {
			if room, err := k.Reserve(me+1, "web", cbox.Region{Length: 64 << 10}); err != nil {
				t.Errorf("another user: %v", err)
			} else {
				room.Free()
			}
		}
	}
}

// A process in C is told as well.
func TestRefusalNamesTheLimitInC(t *testing.T) {
	for want, cfg := range map[string]Config{
		"at most 1 sessions of one user": {User: Share{Sessions: 1}},
		"at most 5000 bytes in a box":    {Box: 5000},
	} {
		k, socket := kept(t, cfg)
		port := freeport.Pick(t)
		p := started(t, "front", "C", socket, port)
		dial(t, port)
		k.Wait(hang, func(all []Info) bool { return len(all) == 1 || cfg.Box > 0 })
		dial(t, port)
		p.says(t, "refused: "+want)
	}
}

// What comes from elsewhere has its room before it is there, and only for so long
// as it takes.
func TestRoom(t *testing.T) {
	k, _ := kept(t, Config{Sessions: 2, Bytes: 1 << 30})
	box, conn := carried(t)
	room := must(k.Reserve(1, "web", box.Region()))
	other := must(k.Reserve(2, "web", box.Region()))
	if _, err := k.Reserve(3, "web", box.Region()); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("room for a third of two: %v", err)
	}
	other.Free()
	other.Free()
	if err := room.Adopt(box, conn, nil); err != nil {
		t.Fatal(err)
	}
	room.Free() // it has none any more
	if k.all != (Share{Sessions: 1, Bytes: box.Region().Length}) {
		t.Errorf("all have %+v", k.all)
	}
	k.mu.Lock()
	k.drop(k.sessions[box.ID()])
	k.mu.Unlock()
	if k.all != (Share{}) || len(k.shares) != 0 {
		t.Errorf("nothing is left, and all have %+v, users %+v", k.all, k.shares)
	}
}

// Whatever users take and give back, none of them is beyond a bound, and all
// together are what they are one by one.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(0, 5)
		share := func(label string) Share {
			return Share{Sessions: bound.Draw(t, label), Bytes: int64(bound.Draw(t, label)), Processes: bound.Draw(t, label), Listeners: bound.Draw(t, label)}
		}
		whole := share("all")
		k := New(Config{Sessions: whole.Sessions, Bytes: whole.Bytes, Processes: whole.Processes, Listeners: whole.Listeners,
			User: share("user"), Users: map[uint32]Share{1: share("user 1")}})
		type part struct {
			uid uint32
			of  Share
		}
		var have []part
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			if i := rapid.IntRange(0, 2*len(have)).Draw(t, "give back"); i < len(have) {
				k.untake(have[i].uid, have[i].of)
				have = append(have[:i], have[i+1:]...)
			} else if more := (part{uint32(rapid.IntRange(0, 3).Draw(t, "uid")), share("more")}); k.take(more.uid, more.of) == nil {
				have = append(have, more)
			}
			users := map[uint32]Share{}
			var all Share
			for _, p := range have {
				users[p.uid], all = users[p.uid].plus(p.of, 1), all.plus(p.of, 1)
			}
			if all != k.all || whole.exceeds(all, false) != nil {
				t.Fatalf("all have %+v, noted is %+v, the bound %+v", all, k.all, whole)
			}
			for uid, s := range users {
				if s != k.shares[uid] || k.cfg.of(uid).exceeds(s, true) != nil {
					t.Fatalf("user %d has %+v, noted is %+v", uid, s, k.shares[uid])
				}
			}
		}
	})
}
