//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// Gen writes zuapi*.go from the module's headers and zcbox*.go from the
// continuation box's, and into testdata what gcc makes of them.
package main

import (
	"log"
	"os"
	"path/filepath"

	"lazystate/internal/uapigen"
)

// The later use what the earlier define.
var mirrors = []struct {
	stem, layout string
	headers      []string
}{
	{"uapi", "testdata/layout.txt", []string{"../../kmod/uapi/backdoor.h", "../../kmod/uapi/bd_fence.h", "../../kmod/uapi/bd_rdma.h", "../../kmod/uapi/bd_box.h"}},
	{"cbox", "testdata/cbox.txt", []string{"../../kmod/uapi/cbox.h", "../../kmod/uapi/scd.h"}},
	{"dsm", "testdata/dsm.txt", []string{"../../kmod/uapi/dsm.h"}},
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
		files, err := h.GoSource("uapi", m.stem, "kmod/uapi")
		check(err)
		old, err := filepath.Glob("z" + m.stem + "*.go")
		check(err)
		for _, name := range old {
			check(os.Remove(name))
		}
		for name, text := range files {
			check(os.WriteFile(name, text, 0o644))
		}
		layout, err := uapigen.Compile(h, m.headers...)
		check(err)
		check(os.WriteFile(m.layout, layout, 0o644))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
