// SPDX-License-Identifier: Apache-2.0

// Package tsc measures the frequency of this machine's time stamp counter.
//
// QEMU's TCG hands the host's counter to the guest, whose kernel calibrates it
// at boot against emulated timers. The trap: on a busy host that calibration
// can be wrong by a factor, and then every lease and deadline in the guest is.
// The lab measures the counter here and tells the guest (tsc_early_khz=).
//
//	fmt.Sprintf("tsc_early_khz=%d", tsc.KHz())
package tsc
