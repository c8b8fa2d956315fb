// SPDX-License-Identifier: Apache-2.0

package wire

import "lazystate/internal/seqnum"

// Split divides a segment into such as fit into IP packets of mtu bytes. FIN and
// PSH are the last one's, CWR the first one's.
func (s Segment) Split(mtu int) []Segment {
	head := v4Len + tcpLen
	if !s.Src.Addr().Unmap().Is4() {
		head = v6Len + tcpLen
	}
	room := max(1, mtu-head-(len(s.Options)+3)&^3)
	var all []Segment
	for len(s.Payload) > room {
		first := s
		first.Payload, first.Flags = s.Payload[:room], s.Flags&^(FIN|PSH)
		all = append(all, first)
		s.Payload, s.Seq, s.Flags = s.Payload[room:], s.Seq.Add(seqnum.Size(room)), s.Flags&^CWR
	}
	return append(all, s)
}
