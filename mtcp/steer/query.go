// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Numbers are those of a connection of this host, as its TCP has them.
type Numbers struct {
	State          uint8 // Linux's, as mtcp.State
	SndUna, SndNxt seqnum.Value
	RcvNxt         seqnum.Value
	SRTT           time.Duration
	Cwnd           uint32 // segments
	MSS            uint32
	Retransmitted  uint32 // segments, in all
	Received       uint64 // bytes
	Acked          uint64
}

// query asks the kernel for a flow's numbers, in the network namespace of the
// calling thread.
func query(p *ebpf.Program, f Flow) (Numbers, error) {
	q := bpfQuery{Flow: f.bpf()}
	if f.v6() {
		q.V6 = 1
	}
	in := bytes.NewBuffer(make([]byte, ethLen, 256))
	if err := binary.Write(in, binary.NativeEndian, &q); err != nil {
		return Numbers{}, fmt.Errorf("query %s: %w", f, err)
	}
	out := make([]byte, in.Len())
	ret, err := p.Run(&ebpf.RunOptions{Data: in.Bytes(), DataOut: out})
	if err != nil || ret != 0 {
		return Numbers{}, fmt.Errorf("query %s: program returned %d: %w", f, ret, err)
	}
	if err := binary.Read(bytes.NewReader(out[ethLen:]), binary.NativeEndian, &q); err != nil {
		return Numbers{}, fmt.Errorf("query %s: %w", f, err)
	}
	if mtcp.State(q.State) == mtcp.Listen { // it would take a new connection with these ends
		q.Found, q.State = 0, 0
	}
	if q.Found != 1 {
		return Numbers{State: uint8(q.State)}, fmt.Errorf("query %s: %w", f, ErrNoSocket)
	}
	return Numbers{
		State:  uint8(q.State),
		SndUna: seqnum.Value(q.SndUna), SndNxt: seqnum.Value(q.SndNxt), RcvNxt: seqnum.Value(q.RcvNxt),
		SRTT: time.Duration(q.SrttUs) * time.Microsecond / 8, Cwnd: q.SndCwnd, MSS: q.Mss, Retransmitted: q.TotalRetrans,
		Received: q.BytesReceived, Acked: q.BytesAcked,
	}, nil
}
