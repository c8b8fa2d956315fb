// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// bind keeps a thread on Config.Processor, if that is wanted: 0 is the caller's. That it
// cannot be is no reason to end.
func (d *Daemon) bind(thread int) {
	if !d.cfg.Bind {
		return
	}
	var one unix.CPUSet
	one.Set(d.cfg.Processor)
	if err := unix.SchedSetaffinity(thread, &one); err != nil {
		d.log.Warn("a thread is not bound", "processor", d.cfg.Processor, "error", err)
	}
}

// Processor is the n-th of those that this process may use; there is always one.
func Processor(n int) (int, error) {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return 0, fmt.Errorf("which processors this process may use: %w", err)
	}
	n %= may.Count()
	for cpu := 0; ; cpu++ {
		if may.IsSet(cpu) {
			if n--; n < 0 {
				return cpu, nil
			}
		}
	}
}
