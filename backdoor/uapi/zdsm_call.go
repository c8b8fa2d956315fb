// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_dsm_call
const (
	DsmAcquire    = 1
	DsmRelease    = 2
	DsmBarrier    = 3
	DsmWait       = 4
	DsmSignal     = 5
	DsmBroadcast  = 6
	DsmPlace      = 7
	DsmPrefetch   = 8
	DsmCheckpoint = 9
	DsmEnd        = 10
)

// DsmCallName names a value of enum bd_dsm_call.
func DsmCallName(v uint32) string {
	switch v {
	case DsmAcquire:
		return "acquire"
	case DsmRelease:
		return "release"
	case DsmBarrier:
		return "barrier"
	case DsmWait:
		return "wait"
	case DsmSignal:
		return "signal"
	case DsmBroadcast:
		return "broadcast"
	case DsmPlace:
		return "place"
	case DsmPrefetch:
		return "prefetch"
	case DsmCheckpoint:
		return "checkpoint"
	case DsmEnd:
		return "end"
	}
	return unknown(v)
}
