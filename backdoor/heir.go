// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"lazystate/backdoor/uapi"
)

// Heir is the recovery node to which a machine's sessions were given when it was fenced;
// 0: to nobody in particular. Two that carry them out would both speak for its addresses,
// and nothing that the second one can see says whether the first is only slow: so the first
// has them until whoever fences again says that it is fenced, too (FenceOptions.Supersedes).
//
// It is in the record of the fence, and whoever fences later repeats it: the record with the
// highest number counts, and each is above all that lie there. One at a time may write
// (WritersPlace), so nobody's comes in between.
type Heir uint32

// HeirOf is that of a recovery node's name. Where nobody knows the name, "heir-1234abcd" will
// do, as a *HeirError has it.
func HeirOf(name string) Heir {
	if digits, is := strings.CutPrefix(name, "heir-"); is {
		if n, err := strconv.ParseUint(digits, 16, 32); err == nil && n != 0 && name == Heir(n).number() {
			return Heir(n)
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return Heir(max(1, h.Sum32()))
}

func (h Heir) String() string {
	if h == 0 {
		return "nobody"
	}
	return "recovery node " + h.number()
}

func (h Heir) number() string { return fmt.Sprintf("heir-%08x", uint32(h)) }

// HeirError is a machine whose sessions are another recovery node's.
type HeirError struct{ Is, Wanted Heir }

func (e *HeirError) Error() string {
	return fmt.Sprintf("its sessions were given to %v, and not to %v: if that is fenced as well, say so when this one is fenced (supersedes)", e.Is, e.Wanted)
}

// Heir is who has the target's sessions, as whoever has fenced it says.
func (t *Target) Heir(ctx context.Context) (Heir, error) {
	last, err := t.lastFence(ctx)
	return Heir(last.Heir), err
}

// lastFence is the last request for a fence that counts; without any a zero one. Its tag
// tells its reader nothing, who has no other monitor's key: the target has looked at it, and
// what it has refused does not count.
func (t *Target) lastFence(ctx context.Context) (last uapi.FenceReq, err error) {
	r, err := t.Region(uapi.KindFence)
	if err != nil {
		return last, err
	}
	if r.Len < uapi.FenceSize {
		return last, corrupt("fence", "%d bytes", r.Len)
	}
	buf := make([]byte, uapi.FenceSize)
	if err := t.Do(ctx, r.Read(0, buf)); err != nil {
		return last, fmt.Errorf("read the requests for a fence: %w", err)
	}
	var refused *[uapi.Monitors]uint64
	for m := range uint32(uapi.Monitors) {
		var q uapi.FenceReq
		if err := q.Decode(buf[m*uapi.FenceReqSize:]); err != nil {
			return last, corrupt("fence", "%v", err)
		}
		written := q.Commit != 0 && q.Commit == uint32(q.Seq) // 0 is the word of a slot that nobody has used
		if !written || q.Want != uapi.FenceWant || q.Monitor != m || q.Seq <= last.Seq {
			continue
		}
		if refused == nil {
			refused = t.refused(ctx)
		}
		if q.Seq != refused[m] {
			last = q
		}
	}
	return last, nil
}

// refused are the numbers of the last requests that the target has refused. One that does not
// say has refused none.
func (t *Target) refused(ctx context.Context) *[uapi.Monitors]uint64 {
	v, err := t.LockView(ctx)
	if err != nil {
		return new([uapi.Monitors]uint64)
	}
	return &v.RefusedSeq
}

// inherits says whose the sessions are to be, and the number that a record has to be above.
// Who may not read the requests repeats nothing: it knows of nobody.
func (o *FenceOptions) inherits(ctx context.Context, t *Target) (h Heir, above uint64, err error) {
	last, err := t.lastFence(ctx)
	if no := (*AccessError)(nil); errors.As(err, &no) {
		return o.Heir, 0, nil
	}
	switch is := Heir(last.Heir); {
	case err != nil:
		return 0, 0, err
	case o.Heir == 0 || o.Heir == is:
		return is, last.Seq, nil
	case is != 0 && is != o.Supersedes:
		return 0, 0, &HeirError{is, o.Heir}
	}
	return o.Heir, last.Seq, nil
}
