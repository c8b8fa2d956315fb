// SPDX-License-Identifier: Apache-2.0

// Command fig38 measures Figure 3.8 (§3.9.3): the counter of serviced
// interrupts over time, while a streaming server in the target serves 0, 1, 8
// and 64 clients from outside. The slope is constant and depends on the load.
//
// The trap: on an idle machine an activity counter hardly moves, so a deadline
// chosen under load declares an idle machine dead. That is why only a sensor
// driven by a clock declares a failure; the figure shows the reason.
//
//	go run ./bench/fig38 --runs 3
package main
