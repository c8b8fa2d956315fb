// SPDX-License-Identifier: Apache-2.0

package backdoor

// CheckOp finds the region that op may touch, or says why there is none. It is
// the part of the guard (§3.8) that every carrier runs before an operation
// reaches the target: bounds without overflow, key, permission.
func CheckOp(regions []Region, op *Op) (*Region, error) {
	n := len(op.Buf)
	if op.Kind == OpCmpSwap || op.Kind == OpFetchAdd {
		n = 8
	}
	refuse := func(region, why string) (*Region, error) {
		return nil, &AccessError{Op: op.Kind, Addr: op.Addr, Len: n, Region: region, Why: why}
	}
	need := op.Kind.needs()
	switch {
	case need == 0:
		return refuse("", "unknown operation")
	case n == 0:
		return refuse("", "empty buffer")
	case need == PermAtomic && op.Addr%8 != 0:
		return refuse("", "atomic operation on an unaligned address")
	}
	keyed := ""
	for i := range regions {
		r := &regions[i]
		if r.Key != op.Key {
			continue
		}
		keyed = r.Name
		if r.Contains(op.Addr, uint64(n)) {
			if r.Perm&need == 0 {
				return refuse(r.Name, "no "+need.name()+" permission")
			}
			return r, nil
		}
	}
	if keyed != "" {
		return refuse(keyed, "out of range")
	}
	return refuse("", "unknown key")
}

func (k OpKind) needs() Perm {
	switch k {
	case OpRead:
		return PermRead
	case OpWrite:
		return PermWrite
	case OpCmpSwap, OpFetchAdd:
		return PermAtomic
	}
	return 0
}

func (p Perm) name() string {
	switch p {
	case PermRead:
		return "read"
	case PermWrite:
		return "write"
	}
	return "atomic"
}

// RunBatch runs the operations of a batch in order through do, ends those
// behind the first failure with ErrFlushed, and completes the batch. Carriers
// that work synchronously are this function and a do of their own.
func RunBatch(b *Batch, do func(*Op) error) {
	failed := false
	for i := range b.Ops {
		op := &b.Ops[i]
		if failed {
			op.Err = ErrFlushed
			continue
		}
		op.Err = do(op)
		failed = op.Err != nil
	}
	b.Complete()
}
