//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// Gen writes zuapi.go from the module's headers, and testdata/layout.txt from
// what gcc makes of them.
package main

import (
	"log"
	"os"

	"lazystate/internal/uapigen"
)

// In the order in which the later include the earlier: the last has them all.
var headers = []string{"../../kmod/uapi/backdoor.h", "../../kmod/uapi/bd_rdma.h"}

func main() {
	log.SetFlags(0)
	var src []byte
	for _, name := range headers {
		text, err := os.ReadFile(name)
		check(err)
		src = append(src, text...)
	}
	h, err := uapigen.Parse(string(src))
	check(err)
	code, err := h.GoSource("uapi", "kmod/uapi")
	check(err)
	check(os.WriteFile("zuapi.go", code, 0o644))
	layout, err := uapigen.Compile(h, headers[len(headers)-1])
	check(err)
	check(os.MkdirAll("testdata", 0o755))
	check(os.WriteFile("testdata/layout.txt", layout, 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
