// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Key is what somebody calls an item.
type Key [16]byte

// Item is what is held under one key.
type Item struct {
	Key   Key
	About []byte
	Files []*os.File
}

// Close closes its descriptors.
func (it *Item) Close() {
	for _, f := range it.Files {
		_ = f.Close()
	}
}

// The messages: kind u32, key 16, about. Descriptors come along in SCM_RIGHTS.
const (
	put  = 1 // daemon: hold this
	drop = 2 // daemon: no longer
	list = 3 // daemon: what is there?
	item = 4 // holder: this
	end  = 5 // holder: nothing else
)

const (
	head      = 4 + len(Key{})
	mostAbout = 4096
	mostFiles = 4
)

func encode(kind uint32, k Key, about []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	return append(append(b, k[:]...), about...)
}

// decode reads a message that came with so many descriptors.
func decode(b []byte, files int) (kind uint32, it Item, err error) {
	if len(b) < head || len(b) > head+mostAbout {
		return 0, it, fmt.Errorf("escrow: message of %d bytes", len(b))
	}
	kind = binary.LittleEndian.Uint32(b)
	it.Key, it.About = Key(b[4:]), b[head:]
	if has := kind == put || kind == item; kind < put || kind > end || has != (files > 0) {
		return 0, it, fmt.Errorf("escrow: message of kind %d with %d descriptors", kind, files)
	}
	return kind, it, nil
}

func send(c *net.UnixConn, b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, oob, nil)
	return err
}

// receive reads one message; its descriptors are the caller's.
func receive(c *net.UnixConn) (kind uint32, it Item, err error) {
	b, oob := make([]byte, head+mostAbout+1), make([]byte, unix.CmsgSpace(mostFiles*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, it, err
	}
	files, err := filesOf(oob[:oobn])
	switch {
	case err != nil:
	case n == 0:
		err = io.EOF
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = fmt.Errorf("escrow: message of more than %d bytes or %d descriptors", len(b), mostFiles)
	default:
		kind, it, err = decode(b[:n], len(files))
	}
	it.Files = files
	if err != nil {
		it.Close()
		return 0, Item{}, err
	}
	return kind, it, nil
}

func filesOf(oob []byte) (files []*os.File, err error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // another kind of message
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "in escrow"))
		}
	}
	return files, nil
}
