// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_cbox_action
const (
	CboxSetOption = 1
	CboxShutRead  = 2
	CboxShutWrite = 3
	CboxClose     = 4
)

// CboxActionName names a value of enum bd_cbox_action.
func CboxActionName(v uint32) string {
	switch v {
	case CboxSetOption:
		return "set option"
	case CboxShutRead:
		return "shut read"
	case CboxShutWrite:
		return "shut write"
	case CboxClose:
		return "close"
	}
	return unknown(v)
}
