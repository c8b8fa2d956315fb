// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"

	"lazystate/internal/unixsock"
)

// Peer is who is at the other end of the socket, by the kernel's word.
type Peer struct {
	PID      int32
	UID, GID uint32
}

func (p Peer) String() string { return fmt.Sprintf("uid %d pid %d", p.UID, p.PID) }

func peerOf(c *net.UnixConn) (Peer, error) {
	cred, err := unixsock.Peer(c)
	if err != nil {
		return Peer{}, err
	}
	return Peer{cred.Pid, cred.Uid, cred.Gid}, nil
}

// Allow lets root, bdmon's own user and the members of a group in. A name
// that does not exist is an error, not an empty group.
func Allow(group string) (func(Peer) bool, int, error) {
	self := uint32(os.Geteuid())
	if group == "" {
		return func(p Peer) bool { return p.UID == 0 || p.UID == self }, -1, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil, -1, err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return nil, -1, fmt.Errorf("group %s: gid %s", group, g.Gid)
	}
	return func(p Peer) bool {
		return p.UID == 0 || p.UID == self || p.GID == uint32(gid) || member(p.UID, g.Gid)
	}, gid, nil
}

func member(uid uint32, gid string) bool {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false
	}
	gids, err := u.GroupIds()
	return err == nil && slices.Contains(gids, gid)
}
