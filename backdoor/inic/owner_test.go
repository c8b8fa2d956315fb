// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

func owner(epoch uint64, slot uint32, name string) backdoor.Owner {
	return backdoor.Owner{Epoch: epoch, Monitor: slot, Name: name}
}

// One owner at a time; it changes while both go on reading, and epochs rise.
func TestOwnersChange(t *testing.T) {
	m := newMachine(t)
	a, b := m.open(t, Options{}), m.open(t, Options{})
	ctx := t.Context()
	bt, err := backdoor.Open(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	req, err := bt.Region(uapi.KindLockReq)
	if err != nil {
		t.Fatal(err)
	}
	write := func(m *Memory) error { return backdoor.Do(ctx, m, req.Write(0, []byte{0})) }
	if err := b.Bind(bt.Regions()); err != nil {
		t.Fatal(err)
	}
	if err := write(a); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("a write before owning: %v", err)
	}
	if err := a.Own(ctx, owner(7, 0, "a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Own(ctx, owner(7, 0, "a"), 0), write(a)); err != nil || !a.Caps().Writable {
		t.Errorf("the owner writes: %v", err)
	}
	var held *backdoor.OwnedError
	if err := b.Own(ctx, owner(8, 1, "b"), 0); !errors.As(err, &held) || held.By.Name != "a" || !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("a second owner: %v", err)
	}
	want := backdoor.OwnerView{Owner: owner(7, 0, "a"), Held: true}
	for _, m := range []*Memory{a, b} {
		if got, err := m.Owner(ctx); err != nil || !cmp.Equal(got, want) {
			t.Errorf("owner %+v, %v", got, err)
		}
	}
	if err := a.Disown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bt.Check(ctx), a.Disown(ctx)); err != nil {
		t.Errorf("after it was given up: %v", err)
	}
	if err := write(a); !errors.Is(err, backdoor.ErrReadOnly) || a.Caps().Writable {
		t.Errorf("a write after owning: %v", err)
	}
	if err := b.Own(ctx, owner(8, 1, "b"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(b), b.Close()); err != nil {
		t.Error(err)
	}
	var stale *backdoor.StaleOwnerError
	for _, o := range []backdoor.Owner{owner(7, 0, "a"), owner(8, 0, "a"), owner(8, 1, "c"), owner(8, 0, "b")} {
		if err := a.Own(ctx, o, 0); !errors.As(err, &stale) || stale.Last.Epoch != 8 || a.Caps().Writable {
			t.Errorf("%v: %v", o, err)
		}
	}
	if got, err := a.Owner(ctx); err != nil || got.Held || got.Epoch != 8 {
		t.Errorf("owner %+v, %v", got, err)
	}
	again := m.open(t, Options{})
	if err := again.Own(ctx, owner(8, 1, "b"), 0); err != nil {
		t.Errorf("the last owner, come back: %v", err)
	}
	if err := again.Own(ctx, owner(9, 1, "b"), 0); err != nil {
		t.Errorf("with a higher epoch: %v", err)
	}
	if err := again.Own(ctx, owner(8, 1, "b"), 0); !errors.As(err, &stale) {
		t.Errorf("with a lower epoch: %v", err)
	}
}

// A tool that takes the place without an epoch keeps owners out while it runs.
func TestOwnBesideATool(t *testing.T) {
	m := newMachine(t)
	tool, a := m.open(t, Options{Writable: true}), m.open(t, Options{})
	var held *backdoor.OwnedError
	if err := a.Own(t.Context(), owner(1, 0, "a"), 0); !errors.As(err, &held) || held.By.Epoch != 0 {
		t.Errorf("beside a tool: %v", err)
	}
	tool.Close()
	if err := a.Own(t.Context(), owner(1, 0, "a"), 0); err != nil {
		t.Error(err)
	}
	if _, err := Open(Options{RAMPath: m.ram, BARPath: m.bar, Writable: true}); !errors.As(err, &held) || held.By.Name != "a" {
		t.Errorf("a tool beside an owner: %v", err)
	}
}

// Many claim at once with epochs that each believes to be the next: whoever
// gets the place, no epoch is held twice, and they rise.
func TestOwnRace(t *testing.T) {
	m := newMachine(t)
	var mu sync.Mutex
	var won []uint64
	var wg sync.WaitGroup
	for slot := range uint32(4) {
		mem := m.open(t, Options{})
		wg.Go(func() {
			for range 50 {
				v, err := mem.Owner(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if err := mem.Own(t.Context(), owner(v.Epoch+1, slot, ""), 0); err != nil {
					if !errors.Is(err, backdoor.ErrReadOnly) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				won = append(won, v.Epoch+1)
				mu.Unlock()
				if err := mem.Disown(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := 1; i < len(won); i++ {
		if won[i] <= won[i-1] {
			t.Fatalf("epochs %v", won)
		}
	}
	if len(won) == 0 {
		t.Error("nobody ever owned it")
	}
}

func TestOwnRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *machine){
		"a damaged record": func(t *testing.T, m *machine) { put(t, m.bar+ownerSuffix, bytes.Repeat([]byte("x"), ownerSize)) },
		"a long record":    func(t *testing.T, m *machine) { put(t, m.bar+ownerSuffix, make([]byte, 1<<20)) },
		"a folder":         func(t *testing.T, m *machine) { os.Mkdir(m.bar+ownerSuffix, 0o700) },
		"another file": func(t *testing.T, m *machine) {
			os.Rename(m.bar, m.bar+".old")
			put(t, m.bar, make([]byte, 4096))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			mem := m.open(t, Options{})
			spoil(t, m)
			if err := mem.Own(t.Context(), owner(1, 0, "a"), time.Second); err == nil || mem.Caps().Writable {
				t.Errorf("owned: %v", err)
			}
			other, err := mapFile(m.bar, true)
			if err != nil {
				t.Fatal(err)
			}
			defer other.close()
			if held, err := flocked(m.bar); held || err != nil {
				t.Errorf("its lock was kept: %v, %v", held, err)
			}
		})
	}
	mem := newMachine(t).open(t, Options{})
	if err := mem.Own(t.Context(), owner(1, 0, string(make([]byte, 41))), 0); err == nil {
		t.Error("a long name was taken")
	}
	mem.Close()
	if err := mem.Own(t.Context(), owner(1, 0, "a"), 0); !errors.Is(err, backdoor.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeOwner(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeOwner(owner(9, 3, "m1")))
	f.Add(make([]byte, ownerSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOwner(b)
		if err == nil && len(b) > 0 {
			if again, err := decodeOwner(encodeOwner(o)); err != nil || again != o {
				t.Errorf("%+v became %+v, %v", o, again, err)
			}
		}
	})
}
