// SPDX-License-Identifier: Apache-2.0

package uapigen

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// CProgram returns a C program that prints, a line each, what the compiler
// makes of the headers: "const NAME value", "size STRUCT n", "field STRUCT.F offset size".
func (h *Header) CProgram(includes ...string) []byte {
	var b bytes.Buffer
	b.WriteString("#include <stdio.h>\n#include <stddef.h>\n")
	for _, path := range includes {
		fmt.Fprintf(&b, "#include %q\n", path)
	}
	b.WriteString("int main(void)\n{\n")
	for _, c := range h.AllConsts() {
		fmt.Fprintf(&b, "\tprintf(\"const %s %%llu\\n\", (unsigned long long)%s);\n", c.Name, c.Name)
	}
	for _, s := range h.Structs {
		fmt.Fprintf(&b, "\tprintf(\"size %s %%zu\\n\", sizeof(struct %s));\n", s.Name, s.Name)
		for _, f := range s.Fields {
			fmt.Fprintf(&b, "\tprintf(\"field %s.%s %%zu %%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n",
				s.Name, f.Name, s.Name, f.Name, s.Name, f.Name)
		}
	}
	b.WriteString("\treturn 0;\n}\n")
	return b.Bytes()
}

// Layout returns the lines that CProgram should print if Parse is right.
func (h *Header) Layout() []byte {
	var b bytes.Buffer
	for _, c := range h.AllConsts() {
		fmt.Fprintf(&b, "const %s %d\n", c.Name, c.Value)
	}
	for _, s := range h.Structs {
		fmt.Fprintf(&b, "size %s %d\n", s.Name, s.Size)
		for _, f := range s.Fields {
			fmt.Fprintf(&b, "field %s.%s %d %d\n", s.Name, f.Name, f.Offset, f.Size)
		}
	}
	return b.Bytes()
}

// AllConsts returns the defines and then the enumerators.
func (h *Header) AllConsts() []Const {
	all := append([]Const(nil), h.Consts...)
	for _, e := range h.Enums {
		all = append(all, e.Values...)
	}
	return all
}

// Compile builds CProgram with gcc and returns what it prints.
// The error wraps exec.ErrNotFound where there is no gcc.
func Compile(h *Header, headers ...string) ([]byte, error) {
	includes := make([]string, len(headers))
	for i, path := range headers {
		var err error
		if includes[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "uapigen")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	src, bin := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(src, h.CProgram(includes...), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command("gcc", "-Wall", "-Werror", "-o", bin, src).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %v: %w\n%s", headers, err, out)
	}
	return exec.Command(bin).Output()
}
