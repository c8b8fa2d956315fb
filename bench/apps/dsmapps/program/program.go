// SPDX-License-Identifier: Apache-2.0

package program

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"
	"unsafe"

	"lazystate/dsm/client"
)

// Program is an application with its sizes.
type Program interface {
	// Flags declares the sizes, with those of a short run as defaults.
	Flags(*flag.FlagSet)
	// Check is an error if the sizes make no sense.
	Check() error
	// Needs is what the program takes of the DSM on so many nodes.
	Needs(nodes int) Needs
	// Parallel runs as one of the nodes. Node 0 has the result; it hears progress.
	Parallel(n *client.Node, progress Progress) (Digest, error)
	// Sequential has the same result by other code.
	Sequential() Digest
}

// Progress hears that so many of all steps are done. After a restart it may hear
// so again.
type Progress func(step, of int)

// Needs are sizes of the DSM.
type Needs struct{ Bytes, Locks int }

// Local are a program's needs on nodes within this process.
func Local(p Program, nodes int) client.LocalConfig {
	need := p.Needs(nodes)
	return client.LocalConfig{Nodes: nodes, Bytes: need.Bytes + slack, Locks: need.Locks + 1}
}

// slack is for the heap's page and for alignment.
const slack = 1 << 20

// Digest names a result.
type Digest string

// Hash is a digest under way. Elements are numbers or arrays of them.
type Hash struct{ hash.Hash }

func NewHash() Hash { return Hash{sha256.New()} }

// Add takes elements as they lie in memory.
func Add[T any](h Hash, s []T) {
	if len(s) > 0 {
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0]))))
	}
}

func (h Hash) Digest() Digest { return Digest(hex.EncodeToString(h.Sum(nil)[:16])) }

// Part is a node's part of so many things: from, and up to.
func Part(things, nodes, id int) (from, to int) {
	return things * id / nodes, things * (id + 1) / nodes
}

// Random is the i-th of a seed's numbers, whoever asks and when.
func Random(seed, i uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, i)) }

// Fixed is a number with 36 bits behind the point: sums have no order.
type Fixed int64

const one = 1 << 36

// Fix rounds symmetrically: Fix(-v) is -Fix(v). It panics where a number has left
// what can be represented, which no sum would show.
func Fix(v float64) Fixed {
	if !(math.Abs(v) < 1<<20) {
		panic(fmt.Sprintf("%g is no fixed-point number", v))
	}
	return Fixed(math.RoundToEven(v * one))
}

// Float is the nearest float.
func (f Fixed) Float() float64 { return float64(f) / one }
