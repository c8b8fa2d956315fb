// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_dsm_answer_error
const (
	DsmOk      = 0
	DsmInvalid = 1
	DsmRefused = 2
	DsmLost    = 3
)

// DsmAnswerErrorName names a value of enum bd_dsm_answer_error.
func DsmAnswerErrorName(v uint32) string {
	switch v {
	case DsmOk:
		return "ok"
	case DsmInvalid:
		return "invalid"
	case DsmRefused:
		return "refused"
	case DsmLost:
		return "lost"
	}
	return unknown(v)
}

// enum bd_dsm_answer_flag
const (
	DsmDue      = 1
	DsmReplayed = 2
)

// DsmAnswerFlagName names a value of enum bd_dsm_answer_flag.
func DsmAnswerFlagName(v uint32) string {
	switch v {
	case DsmDue:
		return "due"
	case DsmReplayed:
		return "replayed"
	}
	return unknown(v)
}
