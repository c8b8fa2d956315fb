// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

// enum bd_cpu_where
const (
	CPUOffline   = 0
	CPURunning   = 1
	CPUUser      = 2
	CPUIdle      = 3
	CPUKernel    = 4
	CPUNMIUser   = 5
	CPUNMIKernel = 6
	CPUNMIIRQOff = 7
	CPUSilent    = 8
)

// CPUWhereName names a value of enum bd_cpu_where.
func CPUWhereName(v uint32) string {
	switch v {
	case CPUOffline:
		return "offline"
	case CPURunning:
		return "running"
	case CPUUser:
		return "user"
	case CPUIdle:
		return "idle"
	case CPUKernel:
		return "kernel"
	case CPUNMIUser:
		return "nmi user"
	case CPUNMIKernel:
		return "nmi kernel"
	case CPUNMIIRQOff:
		return "nmi irqoff"
	case CPUSilent:
		return "silent"
	}
	return unknown(v)
}
