// SPDX-License-Identifier: Apache-2.0

// Package control is what daemons (bdmon, scd, mtcpd) and those who ask them say
// to each other, and how a target is shown (§3.7.1): requests and answers are
// JSON lines over a unix socket of mode 0660, whose peer is known by its kernel
// credentials (SO_PEERCRED).
//
// bdctl reads a target directly if it is given a URL; it writes only through
// bdmon, which is the target's one writer (DECISION 21).
//
// The trap: names of processes, users' sensors and panic texts are the
// target's bytes. They travel escaped, and Text is the only way to print them.
//
//	c, err := control.Dial(ctx, "/run/lazystate/bdmon.sock")
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	var targets []control.Target
//	if err := c.Call(control.Request{Cmd: "targets"}, &targets); err != nil {
//		return err
//	}
package control
