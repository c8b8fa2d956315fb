// SPDX-License-Identifier: Apache-2.0

// Command falsepos draws false positives against loss (§3.4.2): a healthy target
// is sampled over RoCEv2 with more and more of the packets lost, and the same
// samples are judged by the dissertation's detector, to which no answer means no
// change, and by ours, to which it means that nobody answered. Beside them stands
// the formula, p_ml to the power of R, with p_ml as it was measured: the share of
// reads that had no answer within their slot.
//
// The trap: over a reliable connection a lost packet is not lost but late, for an
// acknowledgement's timeout, and so is all that is queued behind it. Each sample has
// a queue pair of its own from a pool, else the samples would fail together, and the
// formula, which takes them for independent, would promise too much (DECISION 25).
//
//	go run ./bench/falsepos --runs 3
package main
