// SPDX-License-Identifier: Apache-2.0

package wire

// largestScale is RFC 7323's limit for a window scale.
const largestScale = 14

// AppendSYN puts an option behind those in opts, as Append does, and what a
// firewall on the path must see on a SYN and a SYN+ACK: the MSS, a window scale
// and that SACK will be used. The scales are those of the old connection, and the
// client's agent cannot know its TCP's: with the largest there is, who follows
// the window takes it for larger than it is and drops nothing. Without one all
// windows would look 2^scale times too small, and data outside of them is
// "invalid" to connection tracking. The windows of the handshake are 65535. No endpoint reads these options.
func AppendSYN(opts []byte, o Option, mss uint16) ([]byte, error) {
	b, err := Append(opts, o)
	if err != nil {
		return opts, err
	}
	return append(b, 2, 4, byte(mss>>8), byte(mss), 3, 3, largestScale, 4, 2), nil
}
