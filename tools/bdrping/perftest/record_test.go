// SPDX-License-Identifier: Apache-2.0

package perftest

import "testing"

// Numbers of a report are doubles and integers in network order: some have a
// colon where a record has its first one, and none is a record.
func TestNumbersAreNoRecords(t *testing.T) {
	for _, number := range []string{"\x40\x4e\xb3\x33:\x00\x00\x00", "\x00\x00\x00\x00:\x11\x22\x33", "404:", "+123:x"} {
		if beginsRecord([]byte(number)) {
			t.Errorf("%q is taken for a record", number)
		}
	}
	r := record{qpn: 0x11, psn: 0x22, reads: peerReads}
	if b := r.bytes(); !beginsRecord(b) || !beginsRecord(b[:5]) {
		t.Errorf("%q is taken for a number", b)
	}
}
