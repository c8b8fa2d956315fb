// SPDX-License-Identifier: Apache-2.0

// Package unixsock reads what the kernel says beside the bytes of a UNIX socket:
// the descriptors that came along (SCM_RIGHTS) and who the peer is (SO_PEERCRED).
// It is for the sessions and boxes that processes give to each other (§2.5.2) and
// for whoever asks a daemon for something.
//
// The trap: descriptors that are not looked at stay open for ever, and a sender may
// add some to any message: take them before anything else is checked, and close them
// if that fails.
//
//	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
//	if err != nil {
//		return err
//	}
//	fds, err := unixsock.Rights(oob[:oobn])
//	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
//		unixsock.Close(fds)
//	}
package unixsock
