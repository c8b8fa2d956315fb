// SPDX-License-Identifier: Apache-2.0

package call

import (
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
)

// mostFds is how many descriptors come with a message at most.
const mostFds = 4

func send(c *net.UnixConn, b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, oob, nil)
	return err
}

// receive reads a message of size bytes; its descriptors are the caller's.
func receive(c *net.UnixConn, size int) ([]byte, []int, error) {
	b, oob := make([]byte, size+1), make([]byte, unix.CmsgSpace(4*mostFds))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, err
	}
	fds, err := unixsock.Rights(oob[:oobn])
	switch {
	case err != nil:
	case n == 0:
		err = io.EOF
	case n != size || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("a message of %d bytes, not %d, or of more than %d descriptors", n, size, mostFds)
	}
	if err != nil {
		unixsock.Close(fds)
		return nil, nil, err
	}
	return b[:n], fds, nil
}

func closeAll(fds []int) { unixsock.Close(fds) }
