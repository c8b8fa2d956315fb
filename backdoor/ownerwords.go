// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"lazystate/backdoor/uapi"
)

// OwnerRefusedError is a writer's place's no to this monitor as such.
type OwnerRefusedError struct{ Reason uint32 } // uapi.Own*

func (e *OwnerRefusedError) Error() string {
	return "the writer's place is refused: " + uapi.OwnerRefusalName(e.Reason)
}

// WritersPlace returns the place of this target for one monitor slot: the
// carrier's own, where it keeps one, or the owner words of bd_rdma.h, which
// backdoor_rdma.ko or the guard of bdnic answers. ErrNoRegion if there is neither.
func (t *Target) WritersPlace(slot uint32, key uapi.Key) (WritersPlace, error) {
	if p, ok := t.mem.(WritersPlace); ok {
		return p, nil
	}
	if slot >= uapi.Monitors {
		return nil, fmt.Errorf("writer's place: monitor slot %d: a target has %d", slot, uapi.Monitors)
	}
	for _, kind := range []uint32{uapi.KindOwnerReq, uapi.KindOwnerAck} {
		if _, err := t.Region(kind); err != nil {
			return nil, fmt.Errorf("writer's place: %w", err)
		}
	}
	return &ownerWords{t: t, slot: slot, key: key}, nil
}

// ownerWords is a place behind request and answer words with one writer each.
type ownerWords struct {
	t    *Target
	slot uint32
	key  uapi.Key

	mu   sync.Mutex // one request of this slot at a time
	last Owner      // that was asked for
}

// Bounds of a lease of ownership, as the other side has them.
const (
	leastOwnerLease   = 100 * time.Millisecond
	longestOwnerLease = time.Hour
)

// ownerAnswer is how long a place may take to answer; a lease bounds it too.
const ownerAnswer = 2 * time.Second

// DecodeOwnerAck validates a copy of struct bd_owner_ack.
func DecodeOwnerAck(b []byte) (*uapi.OwnerAck, error) {
	a := &uapi.OwnerAck{}
	if err := a.Decode(b); err != nil {
		return nil, corrupt("owner ack", "%v", err)
	}
	switch {
	case a.Magic != uapi.OwnerMagic:
		return nil, corrupt("owner ack", "magic %#x", a.Magic)
	case a.Owner != uapi.OwnerNone && a.Owner >= uapi.Monitors:
		return nil, corrupt("owner ack", "owner %d", a.Owner)
	}
	return a, nil
}

// look reads the answer: whole, or ErrTorn.
func (w *ownerWords) look(ctx context.Context) (*uapi.OwnerAck, error) {
	r, err := w.t.Region(uapi.KindOwnerAck)
	if err != nil {
		return nil, err
	}
	buf, again := make([]byte, uapi.OwnerAckSize), make([]byte, 4)
	for range ackTries {
		if err := w.t.Do(ctx, r.Read(0, buf), r.Read(uapi.OwnerAckSeqOff, again)); err != nil {
			return nil, fmt.Errorf("read owner ack: %w", err)
		}
		seq := binary.LittleEndian.Uint32(buf[uapi.OwnerAckSeqOff:])
		if seq%2 == 0 && seq == binary.LittleEndian.Uint32(again) {
			return DecodeOwnerAck(buf)
		}
		if err := pause(ctx, 50*time.Microsecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("read owner ack: %w", ErrTorn)
}

// view says who owns; the names of others than this slot's are not known here.
func (w *ownerWords) view(a *uapi.OwnerAck) OwnerView {
	v := OwnerView{Owner: Owner{Epoch: uint64(a.Epoch), Monitor: a.Owner}}
	if v.Held = a.Owner != uapi.OwnerNone; !v.Held {
		return v
	}
	if a.LeaseEndNs > a.NowNs {
		v.Left = time.Duration(min(a.LeaseEndNs-a.NowNs, uint64(longestOwnerLease)))
	}
	if v.Owner.Epoch == w.last.Epoch && v.Monitor == w.slot {
		v.Name = w.last.Name
	}
	return v
}

// Owner implements WritersPlace.
func (w *ownerWords) Owner(ctx context.Context) (OwnerView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, err := w.look(ctx)
	if err != nil {
		return OwnerView{}, err
	}
	return w.view(a), nil
}

// Own implements WritersPlace.
func (w *ownerWords) Own(ctx context.Context, o Owner, lease time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case o.Monitor != w.slot:
		return fmt.Errorf("own target: slot %d in the place of slot %d", o.Monitor, w.slot)
	case o.Epoch == 0 || o.Epoch > math.MaxUint32:
		return fmt.Errorf("own target: epoch %d: 1 to %d", o.Epoch, uint32(math.MaxUint32))
	case lease < leastOwnerLease || lease > longestOwnerLease:
		return fmt.Errorf("own target: lease of %v: %v to %v", lease, leastOwnerLease, longestOwnerLease)
	}
	w.last = o
	r := uapi.OwnerReq{Want: uapi.OwnerTake, Epoch: uint32(o.Epoch), LeaseMs: uint32(lease / time.Millisecond)}
	if err := w.ask(ctx, &r, min(lease/2, ownerAnswer)); err != nil {
		return fmt.Errorf("own target: %w", err)
	}
	return nil
}

// Disown implements WritersPlace. The record that gives up is the last of this
// slot's: what was posted before it has arrived when it is answered.
func (w *ownerWords) Disown(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.Epoch == 0 {
		return nil
	}
	r := uapi.OwnerReq{Want: uapi.OwnerGive, Epoch: uint32(w.last.Epoch)}
	if err := w.ask(ctx, &r, ownerAnswer); err != nil {
		return fmt.Errorf("disown target: %w", err)
	}
	w.last = Owner{}
	return nil
}

// ask writes one record and waits for its answer.
func (w *ownerWords) ask(ctx context.Context, r *uapi.OwnerReq, bound time.Duration) error {
	return w.t.around(ctx, func() error {
		a, err := w.look(ctx)
		if err != nil {
			return err
		}
		r.Monitor = w.slot
		r.Seq = w.t.seq.next(uapi.KindOwnerReq, w.slot, max(a.AcceptedSeq[w.slot], a.RefusedSeq[w.slot]))
		r.Commit = uint32(r.Seq)
		if err := w.write(ctx, r); err != nil {
			return err
		}
		return await(ctx, bound, func(ctx context.Context) (bool, error) {
			a, err := w.look(ctx)
			switch {
			case errors.Is(err, ErrTorn):
				return false, nil
			case err != nil:
				return false, err
			case a.RefusedSeq[w.slot] == r.Seq:
				return false, w.refusal(a, r)
			}
			return a.AcceptedSeq[w.slot] >= r.Seq, nil
		})
	})
}

func (w *ownerWords) write(ctx context.Context, r *uapi.OwnerReq) error {
	area, err := w.t.Region(uapi.KindOwnerReq)
	if err != nil {
		return err
	}
	r.Sign(w.key, w.t.root.BootID)
	b := r.Encode()
	off := uint64(w.slot) * uapi.OwnerReqSize
	commit := b[uapi.OwnerReqCommitOff : uapi.OwnerReqCommitOff+4]
	if err := w.t.Do(ctx, area.Write(off, b[:uapi.OwnerReqCommitOff]), area.Write(off+uapi.OwnerReqCommitOff, commit)); err != nil {
		return fmt.Errorf("write owner request: %w", err)
	}
	return nil
}

func (w *ownerWords) refusal(a *uapi.OwnerAck, r *uapi.OwnerReq) error {
	switch why := a.Refusal[w.slot]; why {
	case uapi.OwnHeld:
		return &OwnedError{By: w.view(a)}
	case uapi.OwnEpoch:
		return &StaleOwnerError{Claim: Owner{Epoch: uint64(r.Epoch), Monitor: w.slot}, Last: w.view(a).Owner}
	default:
		return &OwnerRefusedError{why}
	}
}
