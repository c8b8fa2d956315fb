// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"context"

	"lazystate/backdoor"
)

// reader reads for many sockets at once, level by level: what was asked for
// goes out together, and what the answers ask for is the next level. So a chain
// of n links costs n batches, for one socket or for a thousand.
type reader struct {
	t    *backdoor.Target
	asks []ask
}

type ask struct {
	read backdoor.VARead
	then func(b []byte, err error)
}

func (r *reader) ask(read backdoor.VARead, then func(b []byte, err error)) {
	r.asks = append(r.asks, ask{read, then})
}

// run reads until nobody asks any more. Its error is the carrier's.
func (r *reader) run(ctx context.Context) error {
	for len(r.asks) > 0 {
		level := r.asks
		r.asks = nil
		reads := make([]backdoor.VARead, len(level))
		for i := range level {
			reads[i] = level[i].read
		}
		if err := r.t.ReadEach(ctx, reads); err != nil {
			return err
		}
		for i := range level {
			level[i].then(reads[i].Buf, reads[i].Err)
		}
	}
	return nil
}

// purse is what may still be read: of one socket, and of all.
type purse struct {
	left   uint64
	common *purse
}

// spend reports whether n bytes more may be read.
func (p *purse) spend(n uint64) bool {
	if n > p.left || p.common != nil && n > p.common.left {
		return false
	}
	p.left -= n
	if p.common != nil {
		p.common.left -= n
	}
	return true
}
