// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/internal/unixsock"
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

// The messages: magic "LSES", version u16, kind u16, then as many entries as there
// are. Descriptors come along in SCM_RIGHTS; entries name them by their place there,
// and may share them. A holder outlives the daemon that has started it, and with it
// the release that it is of: whatever changes here, or in what is said about an item,
// is another version.
const (
	magic   = "LSES"
	version = 1
)

const (
	put  = 1 // daemon: hold these
	drop = 2 // daemon: no longer
	list = 3 // daemon: what is there?
	item = 4 // holder: this
	end  = 5 // holder: nothing else
)

const (
	head        = len(magic) + 2 + 2
	mostAbout   = 4096
	mostFiles   = 4 // of an item
	mostMessage = 64 << 10
	mostFDs     = 253 // of a message: SCM_MAX_FD
)

// VersionError is a message of another release's.
type VersionError struct{ Version uint16 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("escrow: a message of version %d, this is version %d", e.Version, version)
}

// entry is of an item: key 16, length of about u16, number of files u8, their places
// u8 each, about. Of a key alone, the rest is zero.
type entry struct {
	key   Key
	about []byte
	files []byte
}

func (e entry) len() int { return len(e.key) + 3 + len(e.files) + len(e.about) }

func (e entry) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, e.key[:]...), uint16(len(e.about)))
	b = append(append(b, byte(len(e.files))), e.files...)
	return append(b, e.about...)
}

func encode(kind uint16, all ...entry) []byte {
	b := binary.LittleEndian.AppendUint16([]byte(magic), version)
	b = binary.LittleEndian.AppendUint16(b, kind)
	for _, e := range all {
		b = e.append(b)
	}
	return b
}

// decode reads a message that came with so many descriptors.
func decode(b []byte, fds int) (kind uint16, all []entry, err error) {
	bad := func(why string) (uint16, []entry, error) {
		return 0, nil, fmt.Errorf("escrow: message of %d bytes: %s", len(b), why)
	}
	if len(b) < head || string(b[:len(magic)]) != magic {
		return bad("of something else")
	}
	if v := binary.LittleEndian.Uint16(b[len(magic):]); v != version {
		return 0, nil, &VersionError{v}
	}
	if kind = binary.LittleEndian.Uint16(b[head-2:]); kind < put || kind > end {
		return bad(fmt.Sprintf("kind %d", kind))
	}
	for rest := b[head:]; len(rest) > 0; {
		const fixed = len(Key{}) + 3
		if len(rest) < fixed {
			return bad("cut short")
		}
		e := entry{key: Key(rest)}
		about, files := int(binary.LittleEndian.Uint16(rest[len(e.key):])), int(rest[fixed-1])
		if rest = rest[fixed:]; about > mostAbout || files > mostFiles || len(rest) < about+files {
			return bad("an entry is longer than all")
		}
		e.files, e.about, rest = rest[:files], rest[files:files+about], rest[files+about:]
		for _, at := range e.files {
			if int(at) >= fds {
				return bad("a descriptor that did not come")
			}
		}
		all = append(all, e)
	}
	return kind, all, nil
}

func send(c *net.UnixConn, b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, oob, nil)
	return err
}

// buffers are what messages are received with.
type buffers struct{ b, oob []byte }

func newBuffers() buffers {
	return buffers{make([]byte, mostMessage+1), make([]byte, unix.CmsgSpace(mostFDs*4))}
}

// receive reads one message; its descriptors are the caller's, its entries are good
// until the next one.
func (r buffers) receive(c *net.UnixConn) (kind uint16, all []entry, files []*os.File, err error) {
	n, oobn, flags, _, err := c.ReadMsgUnix(r.b, r.oob)
	if err != nil {
		return 0, nil, nil, err
	}
	files, err = filesOf(r.oob[:oobn])
	switch {
	case err != nil:
	case n == 0:
		err = io.EOF
	case flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("escrow: message of more than %d bytes", mostMessage)
	case flags&unix.MSG_CTRUNC != 0: // this process may have no more, or the message has more than there can be
		err = fmt.Errorf("escrow: descriptors behind the first %d of a message: %w", len(files), unix.EMFILE)
	default:
		kind, all, err = decode(r.b[:n], len(files))
	}
	if err != nil {
		(&Item{Files: files}).Close()
		return 0, nil, nil, err
	}
	return kind, all, files, nil
}

func filesOf(oob []byte) (files []*os.File, err error) {
	fds, err := unixsock.Rights(oob)
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), "in escrow"))
	}
	return files, err
}
