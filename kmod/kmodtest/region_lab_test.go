// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// TestWritableRegions: a monitor may write what the parameters allow and
// nothing else, and the carrier says so before the target is reached. In make test
// on one kernel: it is the same code on both.
func TestWritableRegions(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		for _, c := range []struct {
			name   string
			params []string
			want   []string
		}{
			{"none", nil, nil},
			{"repair", []string{"allow_repair=1"}, []string{"kill", "knob", "lock", "owner", "proposal"}},
			{"fence", []string{"allow_fence=1"}, []string{"fence"}},
			{"both", []string{"allow_repair=1", "allow_fence=1"}, []string{"fence", "kill", "knob", "lock", "owner", "proposal"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				k := load(t, kernel, c.params...)
				var got []string
				for _, r := range k.target.Regions() {
					if r.Perm&^backdoor.PermRead != 0 {
						got = append(got, r.Name)
					} else {
						k.readOnly(t, r)
					}
				}
				slices.Sort(got)
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("writable regions: %s", d)
				}
				k.withoutRegion(t, slices.Contains(got, "lock"), slices.Contains(got, "fence"))
			})
		}
	})
}

// readOnly: neither a write nor an atomic operation gets through.
func (k *loaded) readOnly(t *testing.T, r backdoor.Region) {
	t.Helper()
	off := min(64, r.Len-8)
	for _, op := range []backdoor.Op{
		r.Write(off, []byte("scribble")),
		{Kind: backdoor.OpFetchAdd, Addr: r.Addr + off&^7, Key: r.Key, Swap: 1},
		{Kind: backdoor.OpCmpSwap, Addr: r.Addr + off&^7, Key: r.Key, Swap: 1},
	} {
		var refused *backdoor.AccessError
		if err := k.target.Do(t.Context(), op); !errors.As(err, &refused) || refused.Region != r.Name {
			t.Errorf("%s of %s (%s): %v", op.Kind, r.Name, r.Perm, err)
		}
	}
}

// withoutRegion: what needs a region that is not there says so.
func (k *loaded) withoutRegion(t *testing.T, repair, fence bool) {
	t.Helper()
	if !repair {
		_, err := k.target.Lock(t.Context(), backdoor.LockOptions{Slot: slot, Key: key})
		_, kill := k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{{PID: 1, Signal: 9}})
		_, knob := k.hooks(t, slot, key).PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness})
		for _, err := range []error{err, kill, knob} {
			if !errors.Is(err, backdoor.ErrNoRegion) {
				t.Errorf("repair that is not allowed: %v", err)
			}
		}
	}
	if !fence {
		if err := k.target.Fence(t.Context(), backdoor.FenceOptions{Slot: slot, Key: key}); !errors.Is(err, backdoor.ErrNoRegion) {
			t.Errorf("a fence that is not allowed: %v", err)
		}
	}
}

// deviceRegion: a word that the guest's CPU stores in a register of the
// device is read by the carrier, and found there by the host.
func (k *loaded) deviceRegion(t *testing.T) {
	r, _ := k.region(t, uapi.KindDevice)
	if !r.MMIO || !r.BAR || r.Addr != 4096 {
		t.Fatalf("%+v", r)
	}
	want := []byte{0xef, 0xbe, 0xad, 0xde}
	at := k.deviceBAR(t) + r.Addr + 24
	if _, err := k.vm.Must(t.Context(), "devmem", fmt.Sprintf("%#x", at), "32", "0xdeadbeef"); err != nil {
		t.Fatal(err)
	}
	got, bar := make([]byte, 4), make([]byte, 4)
	if err := k.target.Do(t.Context(), r.Read(24, got)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the carrier reads %x: %v", got, err)
	}
	f, err := os.Open(k.vm.BARPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(bar, int64(r.Addr)+24); err != nil || !bytes.Equal(bar, want) {
		t.Errorf("the file has %x: %v", bar, err)
	}
	var refused *backdoor.AccessError
	if err := k.target.Do(t.Context(), r.Read(r.Len-3, got)); !errors.As(err, &refused) {
		t.Errorf("behind the device: %v", err)
	}
}

// deviceBAR is where the guest's bus has BAR 2 of the ivshmem device.
func (k *loaded) deviceBAR(t *testing.T) uint64 {
	t.Helper()
	const bus = "/sys/bus/pci/devices/"
	all, err := k.vm.ReadDir(t.Context(), bus)
	if err != nil {
		t.Fatal(err)
	}
	for _, dev := range all {
		if k.guestFile(t, bus+dev+"/vendor") != "0x1af4" || k.guestFile(t, bus+dev+"/device") != "0x1110" {
			continue
		}
		lines := strings.Split(k.guestFile(t, bus+dev+"/resource"), "\n")
		var start uint64
		if _, err := fmt.Sscanf(lines[2], "%v", &start); err != nil {
			t.Fatal(err)
		}
		return start
	}
	t.Fatal("the guest has no ivshmem device")
	return 0
}

// TestPanicStamp: what a kernel leaves that dies by its own hand; nothing runs
// there afterwards.
func TestPanicStamp(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := doomed(t, kernel)
		if p := k.stamp(t); p.Magic != uapi.PanicMagic || p.Cause != uapi.PanicNone {
			t.Errorf("of a healthy kernel: %+v", p)
		}
		before, began := k.fetch(t).Header.MonoNs, time.Now()
		k.kill(t, "panic")
		for end := time.Now().Add(time.Minute); k.stamp(t).Cause == uapi.PanicNone; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a minute and no stamp")
			}
		}
		p := k.stamp(t)
		late := time.Duration(p.MonoNs) - time.Duration(before)
		if p.Cause != uapi.PanicPanic || uapi.CString(p.Text[:]) != "bd_inject: panic was asked for" || p.CPU > 1 || late < 0 || late > time.Since(began)+time.Second || p.Jiffies == 0 {
			t.Errorf("%s on CPU %d, %s after the last look: %q", uapi.PanicCauseName(p.Cause), p.CPU, late, uapi.CString(p.Text[:]))
		}
		k.still(t, "TICKS.0", "TICKS.1")
	})
}

func (k *loaded) stamp(t *testing.T) *uapi.Panic {
	t.Helper()
	_, b := k.region(t, uapi.KindPanic)
	p := &uapi.Panic{}
	if err := p.Decode(b); err != nil {
		t.Fatal(err)
	}
	return p
}
