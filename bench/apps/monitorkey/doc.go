// SPDX-License-Identifier: Apache-2.0

// Command monitorkey runs in a target and gives one monitor slot its key, as
// bdagent does for a machine that stays: a bench's guest lives for minutes and
// has no configuration.
//
// The trap: keys die with the module. After each load they must be given again,
// or every request of the monitor is refused (DECISION 15: reads need no key).
//
//	monitorkey 0 000102030405060708090a0b0c0d0e0f
package main
