// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"

	"lazystate/backdoor"
)

// Mismatch is a member on which manifest and BTF do not agree.
type Mismatch struct {
	Name     string
	Manifest backdoor.Member
	BTF      backdoor.Member // zero if BTF does not have it
	Known    bool            // BTF has it
}

func (m Mismatch) String() string {
	if !m.Known {
		return m.Name + ": not in BTF"
	}
	return fmt.Sprintf("%s: offset %d size %d in the manifest, %d and %d in BTF",
		m.Name, m.Manifest.Off, m.Manifest.Size, m.BTF.Off, m.BTF.Size)
}

// Compare looks every member and sizeof of a manifest up in BTF.
func Compare(spec *btf.Spec, m *backdoor.Manifest) []Mismatch {
	var out []Mismatch
	_, _, names := m.Names()
	for _, name := range names {
		said, _ := m.Offset(name)
		found := Lookup(spec, name)
		agreed := false
		for _, f := range found {
			// A flexible array has no size in BTF, its element's in the manifest.
			agreed = agreed || f == said || f.Off == said.Off && f.Size == 0 && isMember(name)
		}
		if agreed {
			continue
		}
		x := Mismatch{Name: name, Manifest: said, Known: len(found) > 0}
		if x.Known {
			x.BTF = found[0]
		}
		out = append(out, x)
	}
	return out
}

func isMember(name string) bool { return strings.Contains(name, ".") }

// aliases are members that the kernel's sources name by a macro (sk_* in
// include/net/sock.h), or whose name the manifest keeps over versions.
func aliases(name string) []string {
	if sk, ok := strings.CutPrefix(name, "sock.sk_"); ok {
		return []string{"sock.__sk_common.skc_" + sk}
	}
	switch name {
	case "skb_frag_t.page":
		return []string{"skb_frag_t.bv_page", "skb_frag_t.netmem"}
	case "skb_frag_t.len", "skb_frag_t.offset":
		return []string{strings.Replace(name, ".", ".bv_", 1)}
	}
	return nil
}

// Lookup returns what BTF says of "struct" (its size in Off) or of
// "struct.member.member", once for each type of that name.
func Lookup(spec *btf.Spec, name string) []backdoor.Member {
	found := lookup(spec, name)
	for _, other := range aliases(name) {
		found = append(found, lookup(spec, other)...)
	}
	return found
}

func lookup(spec *btf.Spec, name string) []backdoor.Member {
	structure, path, isMember := strings.Cut(name, ".")
	types, err := spec.AnyTypesByName(structure)
	if err != nil {
		return nil
	}
	var out []backdoor.Member
	for _, t := range types {
		if m, ok := resolve(t, path, isMember); ok {
			out = append(out, m)
		}
	}
	return out
}

func resolve(t btf.Type, path string, isMember bool) (backdoor.Member, bool) {
	members, ok := membersOf(t)
	if !ok {
		return backdoor.Member{}, false
	}
	if !isMember {
		size, err := btf.Sizeof(t)
		return backdoor.Member{Off: uint32(size)}, err == nil
	}
	first, rest, deeper := strings.Cut(path, ".")
	m, base, ok := find(members, first)
	if !ok {
		return backdoor.Member{}, false
	}
	if deeper {
		inner, ok := resolve(m.Type, rest, true)
		inner.Off += base
		return inner, ok
	}
	size, err := btf.Sizeof(m.Type)
	if err != nil {
		return backdoor.Member{}, false
	}
	return backdoor.Member{Off: base, Size: uint32(size)}, true
}

// find looks for a member, also in anonymous structs and unions, and returns
// its offset in bytes; a bit field's is that of its storage unit.
func find(members []btf.Member, name string) (btf.Member, uint32, bool) {
	for _, m := range members {
		off := m.Offset.Bytes()
		if m.BitfieldSize > 0 {
			if unit, err := btf.Sizeof(m.Type); err == nil && unit > 0 {
				off -= off % uint32(unit)
			}
		}
		if m.Name == name && name != "" {
			return m, off, true
		}
		inner, ok := membersOf(m.Type)
		if m.Name != "" || !ok {
			continue
		}
		if im, ioff, ok := find(inner, name); ok {
			return im, off + ioff, true
		}
	}
	return btf.Member{}, 0, false
}

// membersOf sees through typedefs and qualifiers.
func membersOf(t btf.Type) ([]btf.Member, bool) {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members, true
	case *btf.Union:
		return t.Members, true
	}
	return nil, false
}
