// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"context"
	"errors"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func open(t *testing.T, target *bdtest.Target) *backdoor.Target {
	t.Helper()
	bt, err := backdoor.Open(t.Context(), target.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return bt
}

func TestOpen(t *testing.T) {
	bt := open(t, bdtest.New())
	if r, ok := bt.Manifest().String("kernel_release"); !ok || r != "6.1.0-bdtest" {
		t.Errorf("kernel_release = %q, %v", r, ok)
	}
	if v, ok := bt.Manifest().Value("page_offset_base"); !ok || v != 0xffff888000000000 {
		t.Errorf("page_offset_base = %#x, %v", v, ok)
	}
	if m, ok := bt.Manifest().Offset("task_struct.pid"); !ok || m != (backdoor.Member{Off: 424, Size: 4}) {
		t.Errorf("task_struct.pid = %v, %v", m, ok)
	}
	if _, err := bt.Region(uapi.KindFence); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("fence region: %v", err)
	}
}

// A target that is another, withdrawn or gone is never read as the old one.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*bdtest.Target)
		want error
	}{
		{"same", func(*bdtest.Target) {}, nil},
		{"rebooted", (*bdtest.Target).Reboot, backdoor.ErrReplaced},
		{"withdrawn", (*bdtest.Target).Withdraw, backdoor.ErrWithdrawn},
		{"republished", (*bdtest.Target).Republish, backdoor.ErrWithdrawn},
		{"power off", (*bdtest.Target).PowerOff, backdoor.ErrGone},
		{"hung", func(b *bdtest.Target) { b.Hang(true) }, nil},
		{"closed", func(b *bdtest.Target) { b.Memory().Close() }, backdoor.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := bdtest.New()
			bt := open(t, target)
			c.do(target)
			if err := bt.Check(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("Check: %v, want %v", err, c.want)
			}
		})
	}
}

// Open either succeeds or names the operation that failed; it never hangs or
// returns a half-opened target, whichever operation fails.
func TestOpenFaultAtEveryIndex(t *testing.T) {
	target := bdtest.New()
	open(t, target)
	n := target.Memory().Ops()
	broken := errors.New("broken wire")
	for i := range n {
		target := bdtest.New()
		target.Memory().OnIndex(i, broken)
		if _, err := backdoor.Open(context.Background(), target.Memory()); !errors.Is(err, broken) {
			t.Errorf("operation %d of %d failed, Open says %v", i, n, err)
		}
	}
}

// What the manifest says of kdump changes while the target lives: a fresh
// reading has it, also when it changes in the middle of a reading.
func TestManifestIsReadAnew(t *testing.T) {
	target := bdtest.New()
	bt := open(t, target)
	old := bt.Manifest()
	if !old.StampsPanic() {
		t.Error("without a crash kernel it says that a panic leaves no stamp")
	}
	again := func(want bool) {
		t.Helper()
		m, err := bt.ReadManifest(t.Context())
		if err != nil || m.StampsPanic() != want {
			t.Errorf("a panic leaves a stamp: want %v, %v", want, err)
		}
	}
	target.SetCrashKernel(true, false)
	again(false)
	region, err := bt.Region(uapi.KindManifest)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	target.Memory().Before(func(_ int, op *backdoor.Op) error {
		if op.Addr != region.Addr {
			return nil
		}
		if reads++; reads == 1 { // a number is written, its checksum not yet
			target.Poke(region.Addr+uapi.ManifestCRC32Off, []byte{1, 2, 3, 4})
		} else {
			target.SetCrashKernel(true, true)
		}
		return nil
	})
	again(true)
	if reads != 2 {
		t.Errorf("%d readings", reads)
	}
	if v, _ := old.Value("crash_kernel_loaded"); v != 0 || bt.Manifest() != old {
		t.Error("the manifest of Open has changed")
	}
	target.Reboot()
	if m, err := bt.ReadManifest(t.Context()); m != nil || !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("of another boot: %v, %v", m, err)
	}
}
