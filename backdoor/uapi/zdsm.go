// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

const (
	DsmMagic    = 0x3130474e524d5344
	DsmText     = 0xf0
	DsmLast     = 0xffffffff
	DsmGateShut = 0x8000000000000000
	DsmGateTurn = 0x7fffffff00000000
	DsmGateTail = 0xffffffff
)
