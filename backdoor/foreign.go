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
	ForeignSum    = 2 // the value is the sum over the CPUs
)

// Foreign is a kernel variable that the target's agent published by address
// and that no code of the module ever touches (DECISION 11b).
type Foreign struct {
	Name  string
	Addr  uint64
	Size  uint32 // 1, 2, 4 or 8
	Flags uint32
}

// Foreign returns the published words, without those that cannot be read.
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
		size := f.Size == 1 || f.Size == 2 || f.Size == 4 || f.Size == 8
		if printable(name) && size && f.Addr != 0 {
			out = append(out, Foreign{name, f.Addr, f.Size, f.Flags})
		}
	}
	return out
}

// ForeignValues reads the words that are plain variables, in one batch. A word
// that is per CPU needs the CPUs' offsets and is left 0, with ok false.
func (t *Target) ForeignValues(ctx context.Context, words []Foreign) (values []uint64, ok []bool, err error) {
	values, ok = make([]uint64, len(words)), make([]bool, len(words))
	var reads []VARead
	var whose []int
	for i, w := range words {
		if w.Flags&(ForeignPerCPU|ForeignSum) == 0 {
			reads, whose = append(reads, VARead{VA: w.Addr, Buf: make([]byte, w.Size)}), append(whose, i)
		}
	}
	if err := t.readVA(ctx, reads, batchOps); err != nil {
		return nil, nil, fmt.Errorf("read foreign words: %w", err)
	}
	for j, i := range whose {
		var word [8]byte
		copy(word[:], reads[j].Buf)
		values[i], ok[i] = binary.LittleEndian.Uint64(word[:]), reads[j].Err == nil
	}
	return values, ok, nil
}
