// SPDX-License-Identifier: Apache-2.0

// Command fig311 measures Figure 3.11 (§3.9.4, failover latency): 200 clients browse
// with a think time of 7 s, normally distributed, times 0.5; after 14 s the machine of
// a front end, of a middle tier, or of both stops. From the detection on: the steps of
// the recovery, and until the client of each request that was under way has the first
// byte of its reply; the worst of them all step by step.
//
// The traps: the detection is the deadline of 10 ms behind the stop, which is what the
// paper imposes (what detectors do on such machines is bench/detect's). A client that
// asks while nobody has the address sends into nothing, and its own TCP decides when
// it sends again: those are counted apart, as the paper does by looking at the front
// end. And few requests are under way at any moment, so the machines stop at the first
// moment from 14 s on at which there is one.
//
//	go run ./bench/fig311 --kernel 6.12
package main
