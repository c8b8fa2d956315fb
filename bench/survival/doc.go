// SPDX-License-Identifier: Apache-2.0

// Command survival measures the survival matrix: a target is broken in one way
// after another (§3.9.2's faults among them), and each carrier is asked whether
// the target can still be read, locked and repaired, how long it took until its
// monitor said so, and what it said falsely; ping, a TCP connection, a login over
// TCP and one at the serial console are asked beside them.
//
// A run of a row is one boot of a target that all carriers reach at once, their
// monitors connected before the fault. Each run adds lines to the record, a CSV
// file, which is all that the table is made of: a series that was cut off goes on
// where it was, and rows can be run one by one.
//
// The trap: the carriers are asked to lock and repair one after the other, since
// one lock freezes what the next would ask, in an order drawn by the seed; the
// mapped memory comes last, for a target has one writer and bdnic is it until then.
//
//	go run ./bench/survival                          # what is missing of 5 runs of each row on both kernels: hours
//	go run ./bench/survival --quick                  # one run of each
//	go run ./bench/survival --rows idle,panic --kernels 6.1
//	go run ./bench/survival --table                  # only the table and the figure, from the record
package main
