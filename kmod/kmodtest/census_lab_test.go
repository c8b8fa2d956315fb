// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
)

// TestCensusSurvivesACPU: whichever CPU spins, users are counted on the other:
// what is to be repaired beside a hung CPU is judged by these numbers.
func TestCensusSurvivesACPU(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := inject(t, kernel)
		// The injector's own thread is SCHED_FIFO: the kernel takes the time it
		// span for from all such threads of its CPU afterwards, seconds of it.
		const throttle = "/proc/sys/kernel/sched_rt_runtime_us"
		was := k.guestFile(t, throttle)
		if err := k.vm.WriteFile(t.Context(), throttle, []byte("-1"), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := k.vm.WriteFile(context.Background(), throttle, []byte(was), 0); err != nil {
				t.Error(err)
			}
		})
		// The kernel frees the injector's init text in the background: a CPU
		// that flushes TLBs waits for the hung one's answer and runs no thread.
		time.Sleep(time.Second)
		for cpu := range 2 {
			k.countedBeside(t, cpu)
		}
	})
}

func (k *loaded) countedBeside(t *testing.T, cpu int) {
	t.Helper()
	done := make(chan error, 1) // who triggers may run on that CPU
	go func() { done <- k.trigger(t, fmt.Sprintf("spin %d 5000", cpu)) }()
	hung, ticks, stamp, censuses := fmt.Sprintf("TICKS.%d", cpu), uint64(0), uint64(0), 0
	k.eventually(t, "five censuses while "+hung+" stands still", func(v *view) bool {
		_, users := k.region(t, uapi.KindUIDs)
		if now := v.named(t, hung).Value; now != ticks { // not yet, or no longer
			ticks, censuses = now, 0
		} else if now := binary.LittleEndian.Uint64(users[uapi.UIDsMonoNsOff:]); now != stamp {
			stamp, censuses = now, censuses+1
		}
		return censuses > 5
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	k.eventually(t, hung+" goes on", func(v *view) bool { return v.named(t, hung).Value > ticks+50 })
}
