// SPDX-License-Identifier: Apache-2.0

// Package proxy is a device that lives in another process, as a driver.Device
// of this one: with it the conformance suite runs with its two ends in two
// processes, and can kill one of them, which is what a crash of the target is
// (§3.3).
//
// The other process may be on another machine too (Far): its calls go over pipes,
// and its memory is seen through a Mapper, page by page.
//
// Every call goes over a socket to the process, which executes it on its
// device; memory is a file that both map, so that bytes need no call.
//
// The trap: the process is the test program itself, started again; it must
// call ServeIfAsked before anything else, which verbstest.Main does.
//
//	func TestMain(m *testing.M) { verbstest.Main(m) }
//
//	d, err := proxy.Start(ctx, "shm://other")   // verbs.Open's URL, opened over there
//	...
//	err = d.Kill()                              // SIGKILL: the peers see a crash
package proxy
