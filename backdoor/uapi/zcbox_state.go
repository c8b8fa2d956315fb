// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_cbox_state
const (
	CboxNew      = 0
	CboxLive     = 1
	CboxLeaving  = 2
	CboxMigrated = 3
	CboxClosed   = 4
)

// CboxStateName names a value of enum bd_cbox_state.
func CboxStateName(v uint32) string {
	switch v {
	case CboxNew:
		return "new"
	case CboxLive:
		return "live"
	case CboxLeaving:
		return "leaving"
	case CboxMigrated:
		return "migrated"
	case CboxClosed:
		return "closed"
	}
	return unknown(v)
}
