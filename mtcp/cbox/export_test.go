// SPDX-License-Identifier: Apache-2.0

package cbox

import "net"

// KeepersCopies are a keeper's descriptors of a session, for the example.
func KeepersCopies(c *Conn) (*net.TCPConn, Region) {
	var conn *net.TCPConn
	if err := control(c.tcp, func(fd int) (err error) { conn, err = connOf(fd); return }); err != nil {
		panic(err)
	}
	r := c.Region()
	r.File = newFile(must(dupFile(r)))
	return conn, r
}
