// SPDX-License-Identifier: Apache-2.0

package uapigen

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"
)

// largest struct that gets a Go type: the request areas are never read whole.
const largest = 64 << 10

// GoSource prints the mirror: constants, offsets, structs, Decode and Put. By
// file: z<stem>.go has the constants, z<stem>_lock.go enum bd_lock_state, struct
// bd_lock_req and so on.
func (h *Header) GoSource(pkg, stem, header string) (map[string][]byte, error) {
	parts := map[string]*bytes.Buffer{}
	part := func(ofFamily string) *bytes.Buffer {
		name := "z" + stem + ofFamily + ".go"
		if parts[name] == nil {
			parts[name] = &bytes.Buffer{}
		}
		return parts[name]
	}
	h.goConsts(part(""))
	for _, e := range h.Enums {
		goEnum(part("_"+family(e.Name, stem)), e)
	}
	for _, s := range h.Structs {
		h.goStruct(part("_"+family(s.Name, stem)), s)
	}
	files := map[string][]byte{}
	for name, b := range parts {
		text, err := format.Source(append(goHead(pkg, header, b.Bytes()), b.Bytes()...))
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	return files, nil
}

// goHead is what a file begins with.
func goHead(pkg, header string, body []byte) []byte {
	text := fmt.Appendf(nil, "// Code generated from %s by go generate; DO NOT EDIT.\n\n// SPDX-License-Identifier: Apache-2.0\n\npackage %s\n\n", header, pkg)
	if bytes.Contains(body, []byte("binary.")) {
		text = append(text, "import \"encoding/binary\"\n\n"...)
	}
	return text
}

func (h *Header) goConsts(b *bytes.Buffer) {
	b.WriteString("const (\n")
	for _, c := range h.Consts {
		fmt.Fprintf(b, "%s = %#x\n", constName(c.Name), c.Value)
	}
	b.WriteString(")\n\n")
}

func goEnum(b *bytes.Buffer, e Enum) {
	fmt.Fprintf(b, "// enum %s\nconst (\n", e.Name)
	for _, c := range e.Values {
		fmt.Fprintf(b, "%s = %d\n", goName(c.Name), c.Value)
	}
	b.WriteString(")\n\n")
	fn := goName(e.Name) + "Name"
	fmt.Fprintf(b, "// %s names a value of enum %s.\nfunc %s(v uint32) string {\nswitch v {\n", fn, e.Name, fn)
	for _, c := range e.Values {
		fmt.Fprintf(b, "case %s:\nreturn %q\n", goName(c.Name), label(e, c))
	}
	b.WriteString("}\nreturn unknown(v)\n}\n\n")
}

func (h *Header) goStruct(b *bytes.Buffer, s Struct) {
	name := goName(s.Name)
	fmt.Fprintf(b, "// Size and offsets of struct %s.\nconst (\n%sSize = %d\n", s.Name, name, s.Size)
	for _, f := range s.Fields {
		fmt.Fprintf(b, "%s%sOff = %d\n", name, goName(f.Name), f.Offset)
	}
	b.WriteString(")\n\n")
	if s.Size > largest {
		return
	}
	fmt.Fprintf(b, "// %s is struct %s.\ntype %s struct {\n", name, s.Name, name)
	for _, f := range s.Fields {
		fmt.Fprintf(b, "%s %s\n", goName(f.Name), h.goType(f))
	}
	b.WriteString("}\n\n")
	fmt.Fprintf(b, "// Decode copies the fields out of b, which holds at least %sSize bytes.\n", name)
	fmt.Fprintf(b, "func (s *%s) Decode(b []byte) error {\nif len(b) < %sSize {\nreturn short(%q, len(b), %sSize)\n}\n", name, name, s.Name, name)
	for _, f := range s.Fields {
		h.access(b, f, "s."+goName(f.Name), fmt.Sprint(f.Offset), 0, decode)
	}
	b.WriteString("return nil\n}\n\n")
	fmt.Fprintf(b, "// Put writes the struct into the first %sSize bytes of b.\nfunc (s *%s) Put(b []byte) {\n_ = b[%sSize-1]\n", name, name, name)
	for _, f := range s.Fields {
		h.access(b, f, "s."+goName(f.Name), fmt.Sprint(f.Offset), 0, encode)
	}
	b.WriteString("}\n\n")
	fmt.Fprintf(b, "// Encode returns the struct's bytes.\nfunc (s *%s) Encode() []byte {\nb := make([]byte, %sSize)\ns.Put(b)\nreturn b\n}\n\n", name, name)
}

var goScalars = map[string]string{"__u8": "uint8", "char": "byte", "__u16": "uint16", "__u32": "uint32", "__s32": "int32", "__u64": "uint64", "__s64": "int64"}

func (h *Header) goType(f Field) string {
	var dims strings.Builder
	for _, d := range f.Dims {
		fmt.Fprintf(&dims, "[%d]", d)
	}
	if t, ok := goScalars[f.Type]; ok {
		return dims.String() + t
	}
	return dims.String() + goName(f.Type)
}

// access prints the statements that move one field; one loop for each dimension.
func (h *Header) access(b *bytes.Buffer, f Field, expr, off string, depth int, one func(*bytes.Buffer, *Header, Field, string, string)) {
	if depth == len(f.Dims) {
		one(b, h, f, expr, off)
		return
	}
	if scalars[f.Type] == 1 && depth == len(f.Dims)-1 {
		bytesField(b, f, expr, off, one)
		return
	}
	stride := f.Size
	for _, d := range f.Dims[:depth+1] {
		stride /= d
	}
	i := string(rune('i' + depth))
	fmt.Fprintf(b, "for %s := range %s {\n", i, expr)
	h.access(b, f, expr+"["+i+"]", fmt.Sprintf("%s+%s*%d", off, i, stride), depth+1, one)
	b.WriteString("}\n")
}

func bytesField(b *bytes.Buffer, f Field, expr, off string, one func(*bytes.Buffer, *Header, Field, string, string)) {
	n := f.Dims[len(f.Dims)-1]
	var probe bytes.Buffer
	one(&probe, nil, Field{Type: "char"}, "x", "0")
	if strings.HasPrefix(probe.String(), "x =") {
		fmt.Fprintf(b, "copy(%s[:], b[%s:])\n", expr, off)
	} else {
		fmt.Fprintf(b, "copy(b[%s:%s+%d], %s[:])\n", off, off, n, expr)
	}
}

func decode(b *bytes.Buffer, h *Header, f Field, expr, off string) {
	switch size := scalars[f.Type]; {
	case size == 0:
		fmt.Fprintf(b, "_ = %s.Decode(b[%s:])\n", expr, off)
	case size == 1:
		fmt.Fprintf(b, "%s = b[%s]\n", expr, off)
	case strings.HasPrefix(f.Type, "__s"):
		fmt.Fprintf(b, "%s = %s(binary.LittleEndian.Uint%d(b[%s:]))\n", expr, goScalars[f.Type], size*8, off)
	default:
		fmt.Fprintf(b, "%s = binary.LittleEndian.Uint%d(b[%s:])\n", expr, size*8, off)
	}
}

func encode(b *bytes.Buffer, h *Header, f Field, expr, off string) {
	switch size := scalars[f.Type]; {
	case size == 0:
		fmt.Fprintf(b, "%s.Put(b[%s:])\n", expr, off)
	case size == 1:
		fmt.Fprintf(b, "b[%s] = %s\n", off, expr)
	default:
		if strings.HasPrefix(f.Type, "__s") {
			expr = fmt.Sprintf("uint%d(%s)", size*8, expr)
		}
		fmt.Fprintf(b, "binary.LittleEndian.PutUint%d(b[%s:], %s)\n", size*8, off, expr)
	}
}
