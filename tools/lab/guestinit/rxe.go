// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Of rdma/rdma_netlink.h.
const (
	nldevNewLink = 5<<10 | 3 // RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK)
	attrDevName  = 2
	attrNdevName = 51
	attrLinkType = 65
)

// addRXE makes a SoftRoCE device on a network interface, as "rdma link add"
// does, and waits until it has the interface's address among its GIDs.
func addRXE(name, netdev string, addressed bool) error {
	if err := newLink(name, netdev); err != nil {
		return fmt.Errorf("SoftRoCE on %s: %w", netdev, err)
	}
	for end := time.Now().Add(30 * time.Second); addressed && !hasIPv4(name); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("SoftRoCE on %s: its IPv4 address is no GID", netdev)
		}
	}
	return nil
}

func hasIPv4(name string) bool {
	gids, _ := filepath.Glob("/sys/class/infiniband/" + name + "/ports/1/gids/*")
	for _, g := range gids {
		b, err := os.ReadFile(g)
		if err == nil && strings.HasPrefix(string(b), "0000:0000:0000:0000:0000:ffff:") {
			return true
		}
	}
	return false
}

func newLink(name, netdev string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_RDMA)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, newLinkMessage(name, netdev), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	return ackOf(buf[:n])
}

func newLinkMessage(name, netdev string) []byte {
	le := binary.LittleEndian
	m := make([]byte, unix.NLMSG_HDRLEN)
	for _, a := range []struct {
		kind  uint16
		value string
	}{{attrDevName, name}, {attrLinkType, "rxe"}, {attrNdevName, netdev}} {
		m = le.AppendUint16(m, uint16(4+len(a.value)+1))
		m = le.AppendUint16(m, a.kind)
		m = append(append(m, a.value...), 0)
		for len(m)%4 != 0 {
			m = append(m, 0)
		}
	}
	le.PutUint32(m[0:], uint32(len(m)))
	le.PutUint16(m[4:], nldevNewLink)
	le.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	return m
}

// ackOf reads the answer: NLMSG_ERROR with an errno, 0 for none.
func ackOf(m []byte) error {
	le := binary.LittleEndian
	if len(m) < unix.NLMSG_HDRLEN+4 || le.Uint16(m[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("netlink answered %x", m)
	}
	if errno := -int32(le.Uint32(m[unix.NLMSG_HDRLEN:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
