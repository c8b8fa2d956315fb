// SPDX-License-Identifier: Apache-2.0

// Package webload is the clients of §2.7.2: requests for files with sizes like
// those of a web server's trace, at a rate that does not wait for answers, one
// connection each, counted as done if whole within a deadline. Those that take
// longer than a client wants to wait are moved to another server by its agent.
//
// The load runs as a process on each client's machine: a bench's own program,
// called with Arg.
//
// The trap: a generator that waits for answers before it asks again slows down
// with the server, and then no server is ever overloaded. This one's requests
// come when they come; what is under way at the end is waited for.
//
//	func main() {
//		webload.Main() // does not return in a process that Run has started
//		program.Exit()
//	}
//
//	root, files, done, err := webload.Write()
//	out, err := webload.Run(ctx, b, webload.Spec{Rate: 200, For: time.Minute, Deadline: 20 * time.Second, Files: files})
package webload
