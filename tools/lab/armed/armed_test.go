// SPDX-License-Identifier: Apache-2.0

package armed

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// TestServeAndRekey: the agent that stays loads the module and gives a key;
// one that ends changes it, and the old one is worth nothing.
func TestServeAndRekey(t *testing.T) {
	lab.Need(t)
	vm := lab.New(t, lab.Config{Kernel: "6.1"})
	old, fresh := uapi.Key{1}, uapi.Key{15: 2}
	ko := lab.Module(t, vm, "backdoor")
	if err := GiveKeys(t.Context(), vm, Keys{0: old}); err == nil || !strings.Contains(err.Error(), "device") {
		t.Errorf("keys without a module: %v", err)
	}
	if err := Serve(t.Context(), vm, ko, Keys{0: old}, "--no-such-flag"); err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("an agent that does not start: %v", err)
	}
	if err := Serve(t.Context(), vm, ko, Keys{0: old, 7: old}, "--allow-repair"); err != nil {
		t.Fatal(err)
	}
	mem, target, err := Open(t.Context(), vm, true)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	if _, err := Map(vm, true); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("a second writer: %v", err)
	}
	lock := func(slot uint32, key uapi.Key) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		held, err := target.Lock(ctx, backdoor.LockOptions{Slot: slot, Key: key, Lease: 10 * time.Second})
		if err != nil {
			return err
		}
		return held.Unlock(ctx)
	}
	if err := lock(0, old); err != nil {
		t.Errorf("the first key: %v", err)
	}
	if err := GiveKeys(t.Context(), vm, Keys{0: fresh}); err != nil {
		t.Fatal(err)
	}
	var refused *backdoor.LockRefusedError
	if err := lock(0, old); !errors.As(err, &refused) || refused.Reason != uapi.RefuseTag {
		t.Errorf("the old key: %v", err)
	}
	if err := errors.Join(lock(0, fresh), lock(7, old)); err != nil {
		t.Errorf("the fresh key, and the other slot's: %v", err)
	}
}
