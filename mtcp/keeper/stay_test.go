// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
)

// A session leaves and comes back to the same process. What that still has to say
// of the first stay, that it has closed it or whose its child is, is none of the
// second's; and the second can be closed.
func TestLateWordOfAnEarlierStay(t *testing.T) {
	k, socket := kept(t, Config{})
	c := web(t, socket, "web")
	client, first := accept(t, c, cbox.Config{Processes: 2, Channels: 1})
	must(first.Associate("back", 1))
	held := must(k.Hold(first.ID(), hang))
	box, conn := carry(t, held)
	held.Depart()
	if err := adopt(k, held.UID, held.Name, box, conn); err != nil {
		t.Fatal(err)
	}
	p := must(c.Take())
	if p.Session != first.ID() || p.Generation != 2 {
		t.Fatalf("it is handed generation %d of %s", p.Generation, p.Session)
	}
	second := must(cbox.Resume(p.Region, p.Conn, c.Config(cbox.Config{})))
	for _, q := range []uapi.ScdRequest{{Kind: uapi.ScdDone}, {Kind: uapi.ScdHand, Slot: 1}} {
		q.Session, q.Generation = first.ID(), first.Generation()
		if _, err := c.ask(&q); !errors.Is(err, unix.ESTALE) {
			t.Errorf("%s of the first stay: %v", uapi.ScdKindName(q.Kind), err)
		}
	}
	if err := first.Close(); err != nil { // it has left: nothing is said
		t.Error(err)
	}
	if n := k.Count(); n != 1 {
		t.Fatalf("%d sessions are held", n)
	}
	writes(t, second, "it goes on")
	reads(t, client, "it goes on")
	if _, err := c.ask(&uapi.ScdRequest{Kind: uapi.ScdHand, Session: first.ID(), Generation: 2, Slot: 1}); err != nil {
		t.Errorf("a child of the second stay: %v", err)
	}
	_ = client.Close()
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if !k.Wait(hang, func(all []Info) bool { return len(all) == 0 }) {
		t.Error("it is still held")
	}
}

// A session that somebody else has held for a keeper that died finds its other
// processes where they are: they have said so before, and are not handed it again.
func TestAdoptedFindsItsProcesses(t *testing.T) {
	k, socket := kept(t, Config{})
	back := web(t, socket, "back")
	root := must(cbox.Create(newConn(t), cbox.Config{Name: "front", Processes: 2, Channels: 1}))
	child := must(root.Associate("back", 1))
	behind := must(cbox.Open(root.Region(), child.Slot, back.Config(cbox.Config{})))
	if err := back.keep(root.ID(), child.Slot, root.Region(), nil); err != nil {
		t.Fatal(err)
	}
	r := root.Region()
	r.File = must(dup(r.File))
	f := must(newConn(t).File())
	defer f.Close()
	if err := adopt(k, uint32(os.Getuid()), "front", must(cbox.OpenBox(r)), must(dupConn(f))); err != nil {
		t.Fatal(err)
	}
	if all := k.Sessions(); len(all) != 1 || all[0].Processes != 1 || all[0].PID != 0 {
		t.Errorf("%+v", all)
	}
	if err := behind.Export([]byte("it is still its own")); err != nil {
		t.Error(err)
	}
	if n := len(k.early); n != 0 {
		t.Errorf("%d claims are left", n)
	}
}
