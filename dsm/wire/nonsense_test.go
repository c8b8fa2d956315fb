// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"lazystate/dsm"
)

// A node that is told nonsense, live or recovering, ignores or refuses it, and
// does not break.
func TestNodesBearNonsense(t *testing.T) {
	ignored, refused := 0, 0
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := &driver{t: t, cfg: dsm.Config{Nodes: nodes, Pages: 5, PageSize: pageSize, Locks: 5, Conds: 5}}
		d.clear()
		n, inc := dsm.New(d.cfg, d), uint32(1)
		if seed%3 == 0 {
			inc = 2
			n, _ = dsm.Restart(d.cfg, d, nil, nil, inc)
		}
		seq := [nodes]uint64{}
		for range 30 {
			var in dsm.Input = dsm.Fault{Page: dsm.Page(rng.IntN(5)), Write: true}
			switch rng.IntN(8) {
			case 0:
				in = dsm.Begin{Op: dsm.Op{Kind: dsm.OpKind(rng.IntN(8)), ID: rng.Uint32N(5)}}
			case 1:
			default:
				from := 1 + rng.IntN(nodes-1)
				seq[from]++
				m := nonsense(rng)
				m.From, m.FromInc, m.ToInc, m.Seq, m.Ordinal = dsm.NodeID(from), 1, inc, seq[from], rng.Uint64N(9)
				in = dsm.Deliver{Message: m}
			}
			for _, e := range n.Step(in) {
				switch e.(type) {
				case dsm.Ignored:
					ignored++
				case dsm.Refuse:
					refused++
				}
			}
		}
	}
	if ignored == 0 || refused == 0 {
		t.Errorf("%d ignored, %d refused", ignored, refused)
	}
}

// nonsense is a message of numbers that are almost right.
func nonsense(rng *rand.Rand) *dsm.Message {
	m := drawMessage(rng.Uint64(), rng.IntN(len(kinds)))
	body := reflect.New(reflect.TypeOf(m.Body)).Elem()
	body.Set(reflect.ValueOf(m.Body))
	shrink(rng, body)
	m.Body = body.Interface().(dsm.Body)
	return m
}

// shrink brings numbers near to what they may be, most of the time; else some are
// the greatest there are.
func shrink(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			shrink(rng, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			shrink(rng, v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			shrink(rng, v.Elem())
		}
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		switch rng.IntN(40) {
		case 0:
		case 1:
			v.SetUint(1<<v.Type().Bits() - 1)
		default:
			v.SetUint(v.Uint() % 4)
		}
	}
}

// A checkpoint of something else is refused.
func TestRestartBearsNonsense(t *testing.T) {
	refused := 0
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var s dsm.State
		fill(rng, reflect.ValueOf(&s).Elem())
		shrink(rng, reflect.ValueOf(&s).Elem())
		d := &driver{t: t, cfg: dsm.Config{Nodes: nodes, Pages: 5, PageSize: pageSize, Locks: 5, Conds: 5}}
		d.clear()
		_, effects := dsm.Restart(d.cfg, d, &s, nil, 2)
		for _, e := range effects {
			if _, ok := e.(dsm.Refuse); ok {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("none is refused")
	}
}
