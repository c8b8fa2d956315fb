//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// Gen writes zuapi.go from the module's headers and zcbox.go from the
// continuation box's, and into testdata what gcc makes of them.
package main

import (
	"log"
	"os"

	"lazystate/internal/uapigen"
)

// In the order in which the later include the earlier: the last has them all.
var mirrors = []struct {
	source, layout string
	headers        []string
}{
	{"zuapi.go", "testdata/layout.txt", []string{"../../kmod/uapi/backdoor.h", "../../kmod/uapi/bd_rdma.h"}},
	{"zcbox.go", "testdata/cbox.txt", []string{"../../kmod/uapi/cbox.h", "../../kmod/uapi/scd.h"}},
}

func main() {
	log.SetFlags(0)
	check(os.MkdirAll("testdata", 0o755))
	for _, m := range mirrors {
		var src []byte
		for _, name := range m.headers {
			text, err := os.ReadFile(name)
			check(err)
			src = append(src, text...)
		}
		h, err := uapigen.Parse(string(src))
		check(err)
		code, err := h.GoSource("uapi", "kmod/uapi")
		check(err)
		check(os.WriteFile(m.source, code, 0o644))
		layout, err := uapigen.Compile(h, m.headers[len(m.headers)-1])
		check(err)
		check(os.WriteFile(m.layout, layout, 0o644))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
