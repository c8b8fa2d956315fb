// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_class
const (
	Progress = 1
	Level    = 2
	Pressure = 3
)

// ClassName names a value of enum bd_class.
func ClassName(v uint32) string {
	switch v {
	case Progress:
		return "progress"
	case Level:
		return "level"
	case Pressure:
		return "pressure"
	}
	return unknown(v)
}
