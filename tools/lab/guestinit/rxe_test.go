// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// The message as netlink(7) lays it out: each attribute with its length, ended by
// a zero and padded to four bytes.
func TestNewLinkMessage(t *testing.T) {
	const want = "30000000" + "0314" + "0500" + "00000000" + "00000000" +
		"0900" + "0200" + "7278653000" + "000000" +
		"0800" + "4100" + "72786500" +
		"0900" + "3300" + "6574683000" + "000000"
	if got := hex.EncodeToString(newLinkMessage("rxe0", "eth0")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAck(t *testing.T) {
	ack := make([]byte, 36)
	ack[4] = unix.NLMSG_ERROR
	if err := ackOf(ack); err != nil {
		t.Error(err)
	}
	copy(ack[16:], "\xfe\xff\xff\xff")
	if err := ackOf(ack); !errors.Is(err, unix.ENOENT) {
		t.Errorf("-2: %v", err)
	}
	if ackOf(ack[:10]) == nil {
		t.Error("a short answer is an answer")
	}
}
