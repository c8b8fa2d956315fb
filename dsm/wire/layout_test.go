// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// field is one of docs/protocol.md: "pages u32*", "flags u8 (after, ragged)", "bytes if there".
type field struct {
	name, typ string
	bits      []string
	unless    string // this bit is set
	only      string // if this bit is set
}

var (
	fieldRe = regexp.MustCompile(`(?:([^,()]*?) )??([A-Za-z0-9]+[*?]?)(?: \(([^)]*)\))?(?: unless ([a-z ]+)| if ([a-z ]+))?(?:, |$)`)
	partRe  = regexp.MustCompile(`(?m)^\| ([a-z]+) \| ([^|]+) \|$`)
	bodyRe  = regexp.MustCompile(`(?m)^\| ([0-9]+) \| ([A-Za-z]+) \|([^|]*)\|[^|]*\|$`)
)

func fieldsOf(t *testing.T, row string) (all []field) {
	t.Helper()
	row = strings.TrimSpace(row)
	read := 0
	for _, m := range fieldRe.FindAllStringSubmatch(row, -1) {
		f := field{name: m[1], typ: m[2], unless: m[4], only: m[5]}
		if f.name == "" {
			f.name = strings.TrimRight(f.typ, "*?")
		}
		if m[3] != "" {
			f.bits = strings.Split(m[3], ", ")
		}
		all, read = append(all, f), read+len(m[0])
	}
	if read != len(row) {
		t.Fatalf("%q is read as %+v", row, all)
	}
	return all
}

// reader goes over bytes as the page says, beside the value that they are of.
type reader struct {
	t     *testing.T
	parts map[string][]field
	b     []byte
	at    string
	bits  map[string]bool // of the last flags, those that no field of the value has
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.t.Fatalf("%s: %d bytes of %d", r.at, n, len(r.b))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) same(got, want any) {
	if !reflect.DeepEqual(got, want) {
		r.t.Fatalf("%s is %v, and the page reads %v", r.at, want, got)
	}
}

// named is the field of a value; what has no fields, or is the part itself, is meant as a
// whole.
func named(v reflect.Value, name string) (reflect.Value, bool) {
	if v.Kind() != reflect.Struct {
		return v, true
	}
	name = strings.ReplaceAll(name, " ", "")
	f := v.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
	return f, f.IsValid()
}

func (r *reader) fields(fs []field, v reflect.Value) {
	for _, f := range fs {
		at := r.at
		r.at = at + "." + f.name
		switch of, ok := named(v, f.name); {
		case f.unless != "" && r.bits[f.unless], f.only != "" && !r.bits[f.only]:
		case f.bits != nil:
			r.flags(f.bits, v)
		case ok:
			r.value(f.typ, of)
		default:
			r.value(f.typ, v)
		}
		r.at = at
	}
}

func (r *reader) flags(names []string, v reflect.Value) {
	b := r.take(1)[0]
	r.bits = map[string]bool{}
	for i, name := range names {
		set := b>>i&1 != 0
		if of, ok := named(v, name); ok {
			r.same(set, of.Bool())
		} else {
			r.bits[name] = set
		}
	}
}

func (r *reader) value(typ string, v reflect.Value) {
	if of, ok := strings.CutSuffix(typ, "*"); ok {
		n := binary.LittleEndian.Uint32(r.take(4))
		r.same(int(n), v.Len())
		for i := range int(n) {
			r.value(of, v.Index(i))
		}
		return
	}
	if of, ok := strings.CutSuffix(typ, "?"); ok {
		there := r.take(1)[0] == 1
		r.same(there, !v.IsNil())
		if there {
			r.value(of, reflect.Indirect(v))
		}
		return
	}
	switch typ {
	case "u8":
		r.same(uint64(r.take(1)[0]), v.Uint())
	case "u16":
		r.same(uint64(binary.LittleEndian.Uint16(r.take(2))), v.Uint())
	case "u32":
		r.same(uint64(binary.LittleEndian.Uint32(r.take(4))), v.Uint())
	case "u64":
		r.same(binary.LittleEndian.Uint64(r.take(8)), v.Uint())
	case "T":
		for i := range nodes {
			r.same(binary.LittleEndian.Uint64(r.take(8)), v.Interface().(vtime.Time)[i])
		}
	case "bytes":
		r.same(r.take(pageSize), v.Bytes())
	case "text":
		r.same(string(r.take(int(binary.LittleEndian.Uint16(r.take(2))))), v.String())
	case "changes":
		r.changes()
	default:
		if r.parts[typ] == nil {
			r.t.Fatalf("%s: what is %q?", r.at, typ)
		}
		r.fields(r.parts[typ], v)
	}
}

// changes are of a length that they say themselves; that they come back is
// TestMessagesComeBack's.
func (r *reader) changes() {
	size := 0
	if r.take(1)[0] == 0 {
		for range binary.LittleEndian.Uint16(r.take(2)) {
			size += int(binary.LittleEndian.Uint16(r.take(4)[2:]))
		}
	} else {
		for _, b := range r.take(pageSize / 8) {
			size += bits.OnesCount8(b)
		}
	}
	r.take(size)
}

// header has the numbers before the body.
func (r *reader) header(m *dsm.Message, kind int) {
	r.same(string(r.take(3)), "dsm")
	news := uint8(0)
	if m.News != nil {
		news = 1
	}
	for _, want := range []uint8{Version, uint8(kind), news} {
		r.same(r.take(1)[0], want)
	}
	for _, f := range []struct {
		typ  string
		want any
	}{
		{"u16", uint16(nodes)}, {"u32", uint32(pageSize)}, {"u16", uint16(m.From)}, {"u16", uint16(m.To)},
		{"u32", m.FromInc}, {"u32", m.ToInc}, {"u64", m.Seq}, {"u64", m.Ordinal},
	} {
		r.value(f.typ, reflect.ValueOf(f.want))
	}
	if m.News != nil {
		r.value("news", reflect.ValueOf(*m.News))
	}
}

// What docs/protocol.md says of messages and checkpoints is how they lie: each field where
// it says, by that name.
func TestLayoutsAreAsThePageSays(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(b), "## Between nodes of the DSM")
	parts := map[string][]field{}
	for _, m := range partRe.FindAllStringSubmatch(page, -1) {
		if m[1] != "part" {
			parts[m[1]] = fieldsOf(t, m[2])
		}
	}
	bodies := bodyRe.FindAllStringSubmatch(page, -1)
	if len(bodies) != len(kinds) || !strings.Contains(page, fmt.Sprintf("version u8 (%d)", Version)) {
		t.Fatalf("%d messages of %d, of version %d?", len(bodies), len(kinds), Version)
	}
	for k, m := range bodies {
		if m[1] != fmt.Sprint(k) || m[2] != kinds[k].of.Name() {
			t.Fatalf("message %d is %s, not %s %s", k, kinds[k].of.Name(), m[1], m[2])
		}
		for seed := range uint64(50) {
			msg := drawMessage(seed, k)
			b, err := AppendMessage(nil, msg, nodes, pageSize)
			if err != nil {
				t.Fatal(err)
			}
			r := &reader{t: t, parts: parts, b: b, at: m[2]}
			r.header(msg, k)
			r.fields(fieldsOf(t, m[3]), reflect.ValueOf(msg.Body))
			r.same(len(r.b), 4) // the checksum
		}
	}
	for seed := range uint64(50) {
		var s dsm.State
		fill(rand.New(rand.NewPCG(seed, 0)), reflect.ValueOf(&s).Elem())
		b, err := AppendState(nil, &s, nodes, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		r := &reader{t: t, parts: parts, b: b, at: "state"}
		r.same(string(r.take(4)), "dsmc")
		r.take(1 + 2 + 4)
		r.value("state", reflect.ValueOf(s))
		r.same(len(r.b), 4)
	}
}
