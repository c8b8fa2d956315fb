// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"io"
	"net"
	"os"
)

// OtherUserVar makes the test program the other user of TestOtherUsers.
const OtherUserVar = "SHM_TEST_OTHER_USER"

// otherUserName is the name that the child of a process takes.
func otherUserName(parent int) string {
	return fmt.Sprintf("@lazystate/verbs/shm/test/other-user/%d", parent)
}

// OtherUser takes a name, asks the device whose socket it is told for
// something, says what came of it, and waits until its input ends.
func OtherUser() {
	name := os.Getenv(OtherUserVar)
	if name == "" {
		return
	}
	_, err := listenUnix(otherUserName(os.Getppid()))
	var c *net.UnixConn
	if err == nil {
		c, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Net: "unixpacket", Name: name})
	}
	if err == nil {
		(socket{c}).write(&message{Kind: kHello})
		if _, _, e := (socket{c}).read(); e != nil {
			fmt.Println("hung up on")
		} else {
			fmt.Println("welcomed")
		}
	} else {
		fmt.Println(err)
	}
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
