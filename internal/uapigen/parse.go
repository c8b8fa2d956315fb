// SPDX-License-Identifier: Apache-2.0

package uapigen

import (
	"fmt"
	"regexp"
	"strings"
)

// Header is what was found, in the order of the file.
type Header struct {
	Consts  []Const
	Enums   []Enum
	Structs []Struct

	consts  map[string]uint64
	structs map[string]*Struct
}

// Const is a #define or an enumerator.
type Const struct {
	Name  string
	Value uint64
}

// Enum is a named enumeration.
type Enum struct {
	Name   string
	Values []Const
}

// Struct is a C struct without implicit padding.
type Struct struct {
	Name   string
	Fields []Field
	Size   int
	Align  int
}

// Field is a member. Type is "__u8".."__u64", "__s64", "char" or a struct's name.
type Field struct {
	Name   string
	Type   string
	Dims   []int
	Offset int
	Size   int
}

var (
	comment    = regexp.MustCompile(`(?s)/\*.*?\*/`)
	item       = regexp.MustCompile(`(?s)#define\s+(BD_\w+)(\([a-z]\))?[ \t]*([^\n]*)|enum\s+(bd_\w+)\s*\{(.*?)\};|struct\s+(bd_\w+)\s*\{(.*?)\};`)
	member     = regexp.MustCompile(`^(?:struct\s+)?(\w+)\s+(.*)$`)
	declarator = regexp.MustCompile(`^(\w+)((?:\[\w+\])*)$`)
	dimension  = regexp.MustCompile(`\[(\w+)\]`)
	spaces     = regexp.MustCompile(`\s+`)
)

var scalars = map[string]int{"__u8": 1, "char": 1, "__u16": 2, "__u32": 4, "__s32": 4, "__u64": 8, "__s64": 8}

// Parse reads a header.
func Parse(src string) (*Header, error) {
	h := &Header{consts: map[string]uint64{}, structs: map[string]*Struct{}}
	for _, m := range item.FindAllStringSubmatch(comment.ReplaceAllString(src, ""), -1) {
		var err error
		switch {
		case m[4] != "":
			err = h.enum(m[4], m[5])
		case m[6] != "":
			err = h.structure(m[6], m[7])
		case m[2] == "" && strings.TrimSpace(m[3]) != "":
			err = h.define(m[1], m[3])
		}
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *Header) define(name, text string) error {
	v, err := h.eval(text)
	if err != nil {
		return fmt.Errorf("#define %s: %w", name, err)
	}
	h.consts[name] = v
	h.Consts = append(h.Consts, Const{name, v})
	return nil
}

func (h *Header) enum(name, body string) error {
	e := Enum{Name: name}
	for _, part := range strings.Split(body, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		id, text, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("enum %s: %q has no value of its own", name, strings.TrimSpace(part))
		}
		v, err := h.eval(text)
		if err != nil {
			return fmt.Errorf("enum %s: %w", name, err)
		}
		c := Const{strings.TrimSpace(id), v}
		h.consts[c.Name] = v
		e.Values = append(e.Values, c)
	}
	h.Enums = append(h.Enums, e)
	return nil
}

func (h *Header) structure(name, body string) error {
	s := Struct{Name: name, Align: 1}
	for _, line := range strings.Split(body, ";") {
		line = strings.TrimSpace(spaces.ReplaceAllString(line, " "))
		if line == "" {
			continue
		}
		m := member.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("struct %s: cannot read %q", name, line)
		}
		for _, d := range strings.Split(m[2], ",") {
			if err := h.addField(&s, m[1], strings.TrimSpace(d)); err != nil {
				return fmt.Errorf("struct %s: %w", name, err)
			}
		}
	}
	if s.Size%s.Align != 0 {
		return fmt.Errorf("struct %s: %d bytes are no multiple of its alignment %d", name, s.Size, s.Align)
	}
	h.structs[name] = &s
	h.Structs = append(h.Structs, s)
	return nil
}

func (h *Header) addField(s *Struct, typ, decl string) error {
	d := declarator.FindStringSubmatch(decl)
	if d == nil {
		return fmt.Errorf("cannot read the declarator %q", decl)
	}
	size, align := scalars[typ], scalars[typ]
	if st := h.structs[typ]; st != nil {
		size, align = st.Size, st.Align
	}
	if size == 0 {
		return fmt.Errorf("%s has the unknown type %q", decl, typ)
	}
	f := Field{Name: d[1], Type: typ, Offset: s.Size}
	for _, dim := range dimension.FindAllStringSubmatch(d[2], -1) {
		n, err := h.eval(dim[1])
		if err != nil {
			return err
		}
		f.Dims = append(f.Dims, int(n))
		size *= int(n)
	}
	if f.Offset%align != 0 {
		return fmt.Errorf("%s at %d needs padding: say so with a reserved field", f.Name, f.Offset)
	}
	f.Size = size
	s.Size += size
	s.Align = max(s.Align, align)
	s.Fields = append(s.Fields, f)
	return nil
}
