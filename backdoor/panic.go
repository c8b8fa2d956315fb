// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor/uapi"
)

// PanicStamp is a target's last words, stamped by the module's panic and die
// notifiers.
type PanicStamp struct {
	Cause uint32 // uapi.Panic*
	CPU   uint32
	At    time.Duration // the target's monotonic clock
	Text  string        // hostile
}

func (p *PanicStamp) String() string {
	return fmt.Sprintf("%s on CPU %d after %s: %q", uapi.PanicCauseName(p.Cause), p.CPU, p.At.Round(time.Millisecond), p.Text)
}

// PanicStamp returns the target's last words; nil if it has left none, or has no
// room for any.
func (t *Target) PanicStamp(ctx context.Context) (*PanicStamp, error) {
	r, err := t.Region(uapi.KindPanic)
	if errors.Is(err, ErrNoRegion) || err == nil && r.Len < uapi.PanicSize {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, uapi.PanicSize)
	if err := t.Do(ctx, r.Read(0, buf)); err != nil {
		return nil, fmt.Errorf("read the panic stamp: %w", err)
	}
	return DecodePanic(buf), nil
}

// DecodePanic reads the panic region; nil if nothing is stamped there. It costs
// next to nothing then: monitors ask with every sample.
func DecodePanic(b []byte) *PanicStamp {
	if len(b) < uapi.PanicSize || binary.LittleEndian.Uint64(b[uapi.PanicMagicOff:]) != uapi.PanicMagic ||
		binary.LittleEndian.Uint32(b[uapi.PanicCauseOff:]) == uapi.PanicNone {
		return nil
	}
	var p uapi.Panic
	if p.Decode(b) != nil {
		return nil
	}
	at := time.Duration(min(p.MonoNs, 1<<63-1))
	return &PanicStamp{Cause: p.Cause, CPU: p.CPU, At: at, Text: uapi.CString(p.Text[:])}
}
