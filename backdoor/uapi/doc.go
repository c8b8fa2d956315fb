// SPDX-License-Identifier: Apache-2.0

// Package uapi is the Go mirror of kmod/uapi: constants, structs, sizes and
// offsets of all that a target and its monitors share (backdoor.h, bd_rdma.h;
// §3.3, §3.4.1) and of the continuation box (cbox.h; §2.4.2, §3.6.2).
//
// Names follow the header: struct bd_lock_req is LockReq, its size LockReqSize,
// the offset of its tag LockReqTagOff, BD_KIND_MEMORY is KindMemory. Decode
// copies out of a byte slice, Put copies in; there is no unsafe here. zuapi*.go
// and zcbox*.go are generated, and a test compares them with what gcc makes of the header.
//
// The trap: Decode checks that there are enough bytes, and nothing else. What
// was read from a target is hostile until package backdoor has validated it.
//
//	var s uapi.Sensor
//	if err := s.Decode(buf); err != nil {
//		return err
//	}
//	fmt.Println(uapi.CString(s.Name[:]), s.Value, s.Limit)
package uapi

//go:generate go run gen.go
