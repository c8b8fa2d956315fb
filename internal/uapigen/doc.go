// SPDX-License-Identifier: Apache-2.0

// Package uapigen reads the kernel module's C header and writes its Go mirror.
//
// kmod/uapi/backdoor.h is the one definition of every layout that target and
// monitor share (rule 5 of docs/design.md). Parse understands the small part of
// C that the header uses; GoSource prints constants, structs, offsets, decoders
// and encoders; CProgram prints a C program that tells what gcc made of it.
//
// The trap: a parser can misread C as happily as a person. So the sizes and
// offsets that Parse computes are compared with the compiler's own by a test
// of package uapi, and implicit padding is an error here.
//
//	h, err := uapigen.Parse(src)
//	if err != nil {
//		return err
//	}
//	files, err := h.GoSource("uapi", "uapi", "kmod/uapi")
package uapigen
