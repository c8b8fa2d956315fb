//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// Gen writes zuapi.go from the module's header, and testdata/layout.txt from
// what gcc makes of that header.
package main

import (
	"log"
	"os"

	"lazystate/internal/uapigen"
)

const header = "../../kmod/uapi/backdoor.h"

func main() {
	log.SetFlags(0)
	src, err := os.ReadFile(header)
	check(err)
	h, err := uapigen.Parse(string(src))
	check(err)
	code, err := h.GoSource("uapi", "kmod/uapi/backdoor.h")
	check(err)
	check(os.WriteFile("zuapi.go", code, 0o644))
	layout, err := uapigen.Compile(h, header)
	check(err)
	check(os.MkdirAll("testdata", 0o755))
	check(os.WriteFile("testdata/layout.txt", layout, 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
