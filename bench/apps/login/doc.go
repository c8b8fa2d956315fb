// SPDX-License-Identifier: Apache-2.0

// Command login is what a remote login costs a machine, without the encryption:
// it accepts a TCP connection, asks for a name and a password, and lets a shell
// in a process of its own run one command (the ssh-like column of the survival
// matrix). It stands for sshd on the targets of the lab, which have none.
//
// The trap: a TCP handshake is the kernel's work, and succeeds on a machine whose
// every process is stuck. That it can be logged in to shows only in an answer
// that a process started for this login has made.
//
//	login --listen :2222    # in the target; it prints "listening on ..."
//	printf 'root\nlazystate\necho $((40+2))\n' | nc target 2222
package main
