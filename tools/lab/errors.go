// SPDX-License-Identifier: Apache-2.0

package lab

import "errors"

var (
	ErrExists    = errors.New("a VM of this name is up")
	ErrNoVM      = errors.New("no VM of this name is up")
	ErrGone      = errors.New("the VM is gone")
	ErrAborted   = errors.New("qemu found a mistake of its own and gave up")
	ErrLostTimer = errors.New("the guest's timer interrupt was lost while it booted")
	ErrOops      = errors.New("the guest's kernel, with no module of ours in it, failed in an interrupt while it booted")
	ErrRebooted  = errors.New("the guest was rebooted meanwhile")
)
