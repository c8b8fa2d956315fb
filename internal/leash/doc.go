// SPDX-License-Identifier: Apache-2.0

// Package leash starts processes that end with ours, even if that is killed: the
// monitors and servers that drills, benches and tests run beside themselves (the
// daemons of §3.9.5's runs).
//
// The trap: prctl's PR_SET_PDEATHSIG, which does it, means the thread that started
// the process, not ours as a whole. A thread of Go's ends when a goroutine that has
// locked it ends, as those do that enter a network namespace, and any of them may
// be the one that started a process before: it is killed then, at some time. Nobody
// else sets Pdeathsig (a house rule).
//
//	cmd := exec.Command("etcd", args...)
//	wait, err := leash.Start(cmd, syscall.SIGKILL)
//	if err != nil {
//		return err
//	}
//	...
//	cmd.Process.Kill()
//	err = wait()
package leash
