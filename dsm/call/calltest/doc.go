// SPDX-License-Identifier: Apache-2.0

// Package calltest is daemons for programs of the DSM under test (§4.3.2) without
// the DSM: nodes whose processes share one piece of memory, with locks, barriers
// and conditions that are this test's.
//
// The trap: memory is one, so what a program forgets to order it may not notice
// here. And there is no replay; a program that is restarted begins with the
// private state that it is given.
//
//	c := calltest.Start(t, calltest.Config{Nodes: 3})
//	for i := range 3 {
//		cmd := exec.Command(program)
//		cmd.Env = append(os.Environ(), "DSM_SOCKET="+c.Socket(i))
//		...
//	}
//	c.Wait()
package calltest
