// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_result
const (
	ResNone       = 0
	ResDone       = 1
	ResESRCH      = 2
	ResReused     = 3
	ResKThread    = 4
	ResInit       = 5
	ResTag        = 6
	ResSeq        = 7
	ResNotAllowed = 8
	ResRange      = 9
	ResError      = 10
	ResNoKey      = 11
	ResQueued     = 12
	ResDeferred   = 13
)

// ResultName names a value of enum bd_result.
func ResultName(v uint32) string {
	switch v {
	case ResNone:
		return "none"
	case ResDone:
		return "done"
	case ResESRCH:
		return "esrch"
	case ResReused:
		return "reused"
	case ResKThread:
		return "kthread"
	case ResInit:
		return "init"
	case ResTag:
		return "tag"
	case ResSeq:
		return "seq"
	case ResNotAllowed:
		return "notallowed"
	case ResRange:
		return "range"
	case ResError:
		return "error"
	case ResNoKey:
		return "nokey"
	case ResQueued:
		return "queued"
	case ResDeferred:
		return "deferred"
	}
	return unknown(v)
}
