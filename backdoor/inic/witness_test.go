// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"bytes"
	"errors"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// writer is a machine, this side with its writer's place, and the lock's requests.
func writer(t *testing.T) (*machine, *Memory, *backdoor.Target, backdoor.Region) {
	t.Helper()
	m := newMachine(t)
	mem := m.open(t, Options{Writable: true})
	target, err := backdoor.Open(t.Context(), mem)
	if err != nil {
		t.Fatal(err)
	}
	req, err := target.Region(uapi.KindLockReq)
	if err != nil {
		t.Fatal(err)
	}
	return m, mem, target, req
}

// A machine is reset and nobody says so: no notifier has run, the register file
// has the old root. Whatever of the old memory the next kernel has used, nothing
// is written there; not either when it later looks as it did.
func TestNothingIsWrittenIntoTheNextKernel(t *testing.T) {
	for name, c := range map[string]struct {
		kind uint32
		off  uint64
	}{
		"the page of the request":    {uapi.KindLockReq, 1000},
		"the region table":           {uapi.KindTable, uapi.TableBootIDOff},
		"the table's magic":          {uapi.KindTable, uapi.TableMagicOff},
		"the manifest":               {uapi.KindManifest, uapi.ManifestBootIDOff},
		"the lock's acknowledgement": {uapi.KindLockAck, uapi.LockAckMagicOff},
	} {
		t.Run(name, func(t *testing.T) {
			m, mem, target, req := writer(t)
			if err := target.Do(t.Context(), req.Write(0, []byte("the first request"))); err != nil {
				t.Fatal(err)
			}
			at := m.Area(c.kind) + c.off
			if c.kind == uapi.KindTable {
				at = tableVA(t, target)
				at += c.off
			}
			old := bytes.Clone(m.Peek(at, 8))
			m.Poke(at, []byte("\xccnewkern"))
			before := bytes.Clone(m.Peek(req.Addr, int(req.Len)))
			refused := func(when string) {
				t.Helper()
				err := target.Do(t.Context(), req.Write(0, []byte("another request")))
				if !errors.Is(err, backdoor.ErrReplaced) {
					t.Errorf("%s: %v", when, err)
				}
			}
			refused("after the reset")
			if !bytes.Equal(before, m.Peek(req.Addr, int(req.Len))) {
				t.Error("something was written")
			}
			m.Poke(at, old)
			refused("it looks like before")
			if err := mem.Bind(target.Regions()); err != nil {
				t.Fatal(err)
			}
			refused("opened anew")

			m.Reboot() // its own module says so
			next, err := backdoor.Open(t.Context(), mem)
			if err != nil {
				t.Fatal(err)
			}
			if req, err = next.Region(uapi.KindLockReq); err != nil {
				t.Fatal(err)
			}
			if err := next.Do(t.Context(), req.Write(0, []byte("a request"))); err != nil {
				t.Errorf("to the next boot: %v", err)
			}
		})
	}
}

// tableVA is where the target's table lies.
func tableVA(t *testing.T, target *backdoor.Target) uint64 {
	t.Helper()
	r, err := target.Region(uapi.KindTable)
	if err != nil {
		t.Fatal(err)
	}
	return r.Addr
}

// What a root says between two looks at it counts at once: withdrawn, or gone.
func TestNothingIsWrittenWithoutARoot(t *testing.T) {
	m, mem, target, req := writer(t)
	write := func() error { return target.Do(t.Context(), req.Write(0, []byte("a request"))) }
	magic := make([]byte, 8)
	if err := mem.bar.load(uapi.RootMagicOff, magic); err != nil {
		t.Fatal(err)
	}
	if err := mem.bar.store(uapi.RootMagicOff, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("no magic: %v", err)
	}
	if err := mem.bar.store(uapi.RootMagicOff, magic); err != nil { // it was only being published
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("the root is back: %v", err)
	}
	m.Withdraw()
	if err := write(); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("withdrawn: %v", err)
	}
}

// Who takes the writer's place goes on from what its former holders wrote.
func TestWitnessOfTheNextWriter(t *testing.T) {
	m, mem, target, req := writer(t)
	own := func(mem *Memory, epoch uint64) {
		t.Helper()
		if err := mem.Own(t.Context(), backdoor.Owner{Epoch: epoch, Name: "a"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := mem.Disown(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := m.open(t, Options{})
	second, err := backdoor.Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	for epoch := uint64(1); epoch < 5; epoch += 2 {
		own(mem, epoch)
		if err := target.Do(t.Context(), req.Write(64, []byte{byte(epoch)})); err != nil {
			t.Errorf("epoch %d: %v", epoch, err)
		}
		if err := mem.Disown(t.Context()); err != nil {
			t.Fatal(err)
		}
		own(other, epoch+1)
		if err := second.Do(t.Context(), req.Write(0, []byte{byte(epoch + 1)})); err != nil {
			t.Errorf("epoch %d: %v", epoch+1, err)
		}
		if err := other.Disown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
