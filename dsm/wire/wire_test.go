// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/dsm"
	"lazystate/dsm/diff"
	"lazystate/dsm/vtime"
)

const (
	nodes    = 3
	pageSize = 64
)

// fill gives a value and all in it something to be told apart by.
func fill(rng *rand.Rand, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *vtime.Time:
		*p = vtime.New(nodes)
		for i := range *p {
			(*p)[i] = anyLength(rng)
		}
		return
	case *diff.Diff:
		twin, page := make([]byte, pageSize), make([]byte, pageSize)
		for range 1 + rng.IntN(40) {
			page[rng.IntN(pageSize)] = byte(1 + rng.IntN(255))
		}
		*p = diff.Make(twin, page)
		return
	case *[]byte:
		*p = make([]byte, pageSize)
		for i := range *p {
			(*p)[i] = byte(rng.Uint32())
		}
		return
	case *string:
		*p = strings.Repeat("why ", rng.IntN(4))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rng, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rng.IntN(4), 4))
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem())
		}
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Uint64:
		v.SetUint(anyLength(rng))
	default:
		v.SetUint(uint64(rng.Uint32N(200)))
	}
}

// anyLength is a number of 1 to 64 bits.
func anyLength(rng *rand.Rand) uint64 { return rng.Uint64() >> rng.IntN(64) }

// drawMessage makes one of a kind.
func drawMessage(seed uint64, k int) *dsm.Message {
	rng := rand.New(rand.NewPCG(seed, uint64(k)))
	body := reflect.New(kinds[k].of).Elem()
	fill(rng, body)
	m := &dsm.Message{}
	fill(rng, reflect.ValueOf(&m.News).Elem())
	m.From, m.To, m.FromInc, m.ToInc, m.Seq, m.Ordinal = 1, 2, rng.Uint32(), rng.Uint32(), anyLength(rng), anyLength(rng)
	m.Body = body.Interface().(dsm.Body)
	return m
}

// What is encoded is decoded as it was, and no shorter piece of it is accepted.
func TestMessagesComeBack(t *testing.T) {
	for k := range kinds {
		for seed := range uint64(50) {
			m := drawMessage(seed, k)
			b, err := AppendMessage([]byte("x"), m, nodes, pageSize)
			if err != nil {
				t.Fatal(err)
			}
			b = b[1:]
			got, err := ParseMessage(b, nodes, pageSize)
			if err != nil {
				t.Fatalf("%T: %v", m.Body, err)
			}
			if d := cmp.Diff(m, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%T: %s", m.Body, d)
			}
			for n := range b {
				if _, err := ParseMessage(b[:n], nodes, pageSize); err == nil {
					t.Fatalf("%T: %d of %d bytes are accepted", m.Body, n, len(b))
				}
			}
			b[rand.IntN(len(b))] ^= 4
			if _, err := ParseMessage(b, nodes, pageSize); err == nil {
				t.Fatalf("%T: a flipped bit is accepted", m.Body)
			}
		}
	}
}

// Every body that a node handles is on the wire, once, in the order that package
// dsm has them in.
func TestKindsAreComplete(t *testing.T) {
	src, err := parser.ParseFile(token.NewFileSet(), "../message.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var handled, sent []string
	for _, d := range src.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "handle" {
			handled = append(handled, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	for _, k := range kinds {
		sent = append(sent, k.of.Name())
	}
	if d := cmp.Diff(handled, sent); d != "" || len(sent) != 26 {
		t.Errorf("%d kinds: a body was added, dropped or moved; Version must rise: %s", len(sent), d)
	}
	if _, err := AppendMessage(nil, &dsm.Message{}, nodes, pageSize); err == nil {
		t.Error("a message without a body is encoded")
	}
}

// A checkpoint comes back from its bytes.
func TestStatesComeBack(t *testing.T) {
	for seed := range uint64(200) {
		var s dsm.State
		fill(rand.New(rand.NewPCG(seed, 0)), reflect.ValueOf(&s).Elem())
		b, err := AppendState(nil, &s, nodes, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseState(b, nodes, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&s, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	}
}

// A cluster of another size, other pages, another version and other bytes are told
// apart.
func TestStrangers(t *testing.T) {
	b, err := AppendMessage(nil, drawMessage(1, 0), nodes, pageSize)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseMessage(b, nodes+1, pageSize); err == nil || !strings.Contains(err.Error(), "3 nodes, here are 4") {
		t.Error(err)
	}
	if _, err := ParseMessage(b, nodes, 2*pageSize); err == nil || !strings.Contains(err.Error(), "have 64 bytes, here they have 128") {
		t.Error(err)
	}
	b[3]++
	if _, err := ParseMessage(b, nodes, pageSize); err == nil || !strings.Contains(err.Error(), fmt.Sprint("version ", Version+1)) {
		t.Error(err)
	}
	if _, err := ParseMessage([]byte("GET / HTTP/1.1"), nodes, pageSize); err == nil || !strings.Contains(err.Error(), "GET") {
		t.Error(err)
	}
	if _, err := ParseState(b, nodes, pageSize); err == nil {
		t.Error("a message is a checkpoint")
	}
}

// A dense diff is no longer than a mask and its bytes.
func TestDenseDiffsAreMasks(t *testing.T) {
	twin, page := make([]byte, 4096), make([]byte, 4096)
	for i := 0; i < len(page); i += 2 {
		page[i] = 1
	}
	c := &coder{pageSize: 4096}
	d := diff.Make(twin, page)
	c.diff(&d)
	if want := 1 + 512 + 2048; len(c.b) != want {
		t.Errorf("%d bytes, not %d", len(c.b), want)
	}
}

func FuzzParseMessage(f *testing.F) {
	for k := range kinds {
		b, err := AppendMessage(nil, drawMessage(7, k), nodes, pageSize)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(sum(b, 0), nodes, pageSize)
		if err != nil {
			return
		}
		again, err := AppendMessage(nil, m, nodes, pageSize)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		got, err := ParseMessage(again, nodes, pageSize)
		if err != nil || !cmp.Equal(got, m, cmpopts.EquateEmpty()) {
			t.Fatalf("%+v became %+v: %v", m, got, err)
		}
	})
}

func FuzzParseState(f *testing.F) {
	for seed := range uint64(20) {
		var s dsm.State
		fill(rand.New(rand.NewPCG(seed, 0)), reflect.ValueOf(&s).Elem())
		b, err := AppendState(nil, &s, nodes, pageSize)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(sum(b, 0), nodes, pageSize)
		if err != nil {
			return
		}
		again, err := AppendState(nil, s, nodes, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseState(again, nodes, pageSize)
		if err != nil || !cmp.Equal(got, s, cmpopts.EquateEmpty()) {
			t.Fatalf("%+v became %+v: %v", s, got, err)
		}
	})
}

// What a node counts for the control data of LLT and CGC (Table 4.2) is what that adds
// to a message.
func TestSizeOfNews(t *testing.T) {
	m := dsm.Message{From: 1, To: 0, FromInc: 1, ToInc: 1, Seq: 1, Body: dsm.Gather{}}
	plain, err := AppendMessage(nil, &m, 3, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for _, pages := range [][]dsm.PageBound{nil, {{Page: 1, Bound: 2}, {Page: 3, Bound: 4}}} {
		m.News = &dsm.News{Ckp: dsm.Stamp{Number: 1, T: vtime.New(3)}, Bound: 7, Pages: pages}
		b, err := AppendMessage(nil, &m, 3, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(b) - len(plain); got != m.News.Size() {
			t.Errorf("%d bytes, counted as %d", got, m.News.Size())
		}
	}
}
