// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"fmt"

	"lazystate/backdoor/uapi"
)

// Flags of a foreign word, struct bd_foreign.
const (
	ForeignPerCPU = 1 // Addr is an offset in each CPU's area
	ForeignSum    = 2 // only the sum over the CPUs means something
)

// The words that monitors read. An agent publishes what somebody reads.
const (
	// PerCPUOffsets is the kernel's array of the places of the per-CPU areas:
	// without it no per-CPU word can be read.
	PerCPUOffsets = "__per_cpu_offset"
	// ProcessCounts is the kernel's own count of processes: each CPU has a
	// part, and only their sum means something.
	ProcessCounts = "process_counts"
)

// Foreign is a kernel variable that the target's agent published by address
// and that no code of the module ever touches (DECISION 11b).
type Foreign struct {
	Name  string
	Addr  uint64
	Size  uint32
	Flags uint32
}

// ForeignValue is what such a variable held: one copy, or one for each
// possible CPU. A copy that could not be read is nil.
type ForeignValue struct {
	Foreign
	Copies [][]byte
}

// Uint64 returns the first word, summed over the CPUs; false if a copy is missing.
func (v ForeignValue) Uint64() (sum uint64, ok bool) {
	for _, c := range v.Copies {
		if c == nil {
			return 0, false
		}
		var word [8]byte
		copy(word[:], c)
		sum += binary.LittleEndian.Uint64(word[:])
	}
	return sum, len(v.Copies) > 0
}

// Foreign returns the published words, without those that make no sense.
func (t *Target) Foreign(ctx context.Context) ([]Foreign, error) {
	r, err := t.Region(uapi.KindForeign)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(r.Len, uapi.ForeignMax*uapi.ForeignSize))
	if err := t.around(ctx, func() error { return t.Do(ctx, r.Read(0, buf)) }); err != nil {
		return nil, fmt.Errorf("read foreign words: %w", err)
	}
	return decodeForeign(buf), nil
}

func decodeForeign(buf []byte) []Foreign {
	var out []Foreign
	for ; len(buf) >= uapi.ForeignSize; buf = buf[uapi.ForeignSize:] {
		var f uapi.Foreign
		if f.Decode(buf) != nil {
			break
		}
		name := uapi.CString(f.Name[:])
		if printable(name) && f.Size > 0 && f.Size <= pageSize && f.Flags&^(ForeignPerCPU|ForeignSum) == 0 {
			out = append(out, Foreign{name, f.Addr, f.Size, f.Flags})
		}
	}
	return out
}

// ReadForeign reads words in one go, each CPU's copy of a per-CPU word where
// the words include the kernel's __per_cpu_offset.
func (t *Target) ReadForeign(ctx context.Context, words []Foreign) ([]ForeignValue, error) {
	offsets, err := t.cpuOffsets(ctx, words)
	if err != nil {
		return nil, fmt.Errorf("read per-CPU offsets: %w", err)
	}
	values := make([]ForeignValue, len(words))
	var reads []VARead
	var whose []*[]byte
	for i, w := range words {
		bases := []uint64{0}
		if w.Flags&ForeignPerCPU != 0 {
			bases = offsets
		}
		values[i] = ForeignValue{Foreign: w, Copies: make([][]byte, len(bases))}
		for cpu, base := range bases {
			reads = append(reads, VARead{VA: base + w.Addr, Buf: make([]byte, w.Size)})
			whose = append(whose, &values[i].Copies[cpu])
		}
	}
	if err := t.readVA(ctx, reads, batchOps); err != nil {
		return nil, fmt.Errorf("read foreign words: %w", err)
	}
	for j := range reads {
		if reads[j].Err == nil {
			*whose[j] = reads[j].Buf
		}
	}
	return values, nil
}

// cpuOffsets reads the per-CPU offsets, or returns none if they are not published.
func (t *Target) cpuOffsets(ctx context.Context, words []Foreign) ([]uint64, error) {
	for _, w := range words {
		if w.Name != PerCPUOffsets || w.Flags != 0 {
			continue
		}
		cpus, _ := t.manifest.Value("ncpus")
		read := VARead{VA: w.Addr, Buf: make([]byte, 8*min(cpus, uapi.MaxCPUs, uint64(w.Size)/8))}
		if len(read.Buf) == 0 {
			return nil, nil
		}
		if err := t.ReadVA(ctx, []VARead{read}); err != nil {
			return nil, err
		}
		var out []uint64
		for b := read.Buf; len(b) > 0; b = b[8:] {
			out = append(out, binary.LittleEndian.Uint64(b))
		}
		return out, nil
	}
	return nil, nil
}
