// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lazystate/backdoor"
)

// A CPU that hangs with its interrupts off may take the others with it: whichever calls it
// (there is a TLB to flush, or code to patch) waits with its own preemption off until it is
// answered. It still takes interrupts, but runs no process and no kernel thread, and rxe
// answers from one (Linux 6.12), or has the processes that it spares stopped by one. A
// machine like that is out of this carrier's reach, and says so by not answering.

// callers are the functions in which one waits.
func (v *victim) callers() (at []uint64) {
	v.t.Helper()
	for _, name := range []string{"smp_call_function_many_cond", "smp_call_function_single"} {
		a, err := v.vm.Symbol(v.t.Context(), name)
		v.must(err)
		at = append(at, a)
	}
	return at
}

// mostCode is more than a caller's.
const mostCode = 1 << 11

// dragged reports, as seen by QEMU, whether CPU 0 does nothing but wait in one of these.
func (v *victim) dragged(callers []uint64) bool {
	v.t.Helper()
	const looks = 50
	waits, seen := 0, map[string]int{}
	for range looks {
		pc := v.pc()
		if slices.ContainsFunc(callers, func(at uint64) bool { return pc-at < mostCode }) {
			waits++
		}
		seen[fmt.Sprintf("%#x", pc)]++
		time.Sleep(10 * time.Millisecond)
	}
	if waits < looks*3/4 { // in between it takes interrupts
		v.t.Logf("CPU 0 waits in %d of %d looks (%#x): %v", waits, looks, callers, seen)
		return false
	}
	return true
}

var rip = regexp.MustCompile(`RIP=([0-9a-f]{16})`)

// pc is where CPU 0 is.
func (v *victim) pc() uint64 {
	v.t.Helper()
	raw, err := v.vm.QMP(v.t.Context(), "human-monitor-command", map[string]any{"command-line": "info registers", "cpu-index": 0})
	v.must(err)
	var text string
	v.must(json.Unmarshal(raw, &text))
	m := rip.FindStringSubmatch(text)
	if m == nil {
		v.t.Fatalf("no RIP among %s", text)
	}
	at, err := strconv.ParseUint(m[1], 16, 64)
	v.must(err)
	return at
}

// unharmed checks that a salvage which came to nothing has left all as it was: no session
// lives here, and no client was told anything.
func (v *victim) unharmed(clients []*adder) {
	v.t.Helper()
	if all := v.s2.keep.Sessions(); len(all) != 0 {
		v.t.Errorf("%d sessions live here", len(all))
	}
	for _, a := range clients {
		v.must(a.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
		for b := make([]byte, 4096); ; {
			if _, err := a.Read(b); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				v.t.Errorf("%s: %v", a.LocalAddr(), err)
				break
			}
		}
	}
}

// cannot reports an error that a machine out of reach accounts for.
func cannot(err error) bool {
	return errors.Is(err, backdoor.ErrUnanswered) || errors.Is(err, errStirs)
}
