// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"lazystate/dsm"
)

// Version is of the hello and the frames.
const Version = 2

// hello is who speaks: "dsmh" version:1 0:1 nodes:2 from:2 to:2 pagesize:4 pages:4
// locks:4 conds:4 config:4 inc:4 knows:4 heard:8 nonce:16.
type hello struct {
	nodes    uint16
	from, to dsm.NodeID
	pageSize uint32
	pages    uint32
	locks    uint32
	conds    uint32
	config   uint32 // dsm.Config.Digest
	inc      uint32
	knows    uint32 // the other's incarnation, the last that is known; 0: none
	heard    uint64 // the last message of that one
	nonce    [16]byte
}

const (
	helloMagic = "dsmh"
	helloSize  = 64
	proofSize  = sha256.Size
	yesMagic   = "dsmy" // the listener has taken the connection
	noMagic    = "dsmn" // then length:1 and a text: no, and why
	laterMagic = "dsml" // the same: not now
)

func newHello(cfg dsm.Config, inc uint32, to dsm.NodeID) hello {
	h := hello{
		nodes: uint16(cfg.Nodes), from: cfg.Self, to: to, pageSize: uint32(cfg.PageSize),
		pages: uint32(cfg.Pages), locks: uint32(cfg.Locks), conds: uint32(cfg.Conds), config: cfg.Digest(), inc: inc,
	}
	rand.Read(h.nonce[:]) // never fails
	return h
}

func (h hello) bytes() []byte {
	b := make([]byte, 0, helloSize)
	b = append(b, helloMagic...)
	b = append(b, Version, 0)
	for _, v := range []uint16{h.nodes, uint16(h.from), uint16(h.to)} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for _, v := range []uint32{h.pageSize, h.pages, h.locks, h.conds, h.config, h.inc, h.knows} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, h.heard)
	return append(b, h.nonce[:]...)
}

// errOther is a peer that does not belong here.
var errOther = errors.New("not of this cluster")

func parseHello(b []byte) (h hello, err error) {
	switch {
	case len(b) != helloSize || string(b[:4]) != helloMagic:
		return h, fmt.Errorf("no hello of a node: %w", errOther)
	case b[4] != Version:
		return h, fmt.Errorf("it speaks version %d, this node version %d: %w", b[4], Version, errOther)
	case b[5] != 0:
		return h, fmt.Errorf("a hello with flags %#x: %w", b[5], errOther)
	}
	short := func(at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[12+4*i:]) }
	h = hello{
		nodes: short(6), from: dsm.NodeID(short(8)), to: dsm.NodeID(short(10)), pageSize: word(0), pages: word(1),
		locks: word(2), conds: word(3), config: word(4), inc: word(5), knows: word(6), heard: binary.LittleEndian.Uint64(b[40:]),
	}
	copy(h.nonce[:], b[48:])
	return h, nil
}

// fits is nil if the other is a node of the same cluster that speaks to this one.
func (h hello) fits(mine hello) error {
	for _, f := range []struct {
		what        string
		its, theirs uint32
	}{
		{"nodes", uint32(h.nodes), uint32(mine.nodes)},
		{"bytes a page", h.pageSize, mine.pageSize},
		{"pages", h.pages, mine.pages},
		{"locks", h.locks, mine.locks},
		{"conditions", h.conds, mine.conds},
	} {
		if f.its != f.theirs {
			return fmt.Errorf("%v has %d %s, %v has %d: %w", h.from, f.its, f.what, mine.from, f.theirs, errOther)
		}
	}
	switch {
	case h.config != mine.config:
		return fmt.Errorf("%v has other homes of pages than %v, or keeps other logs: %w", h.from, mine.from, errOther)
	case h.from >= dsm.NodeID(h.nodes) || h.from == mine.from:
		return fmt.Errorf("it says that it is %v, to %v: %w", h.from, mine.from, errOther)
	case h.to != mine.from:
		return fmt.Errorf("it looks for %v, this is %v: %w", h.to, mine.from, errOther)
	case h.inc == 0:
		return fmt.Errorf("incarnation 0: %w", errOther)
	}
	return nil
}

// supersedes is the error of an incarnation that has a later one, as the other knows.
func (h hello) supersedes(inc uint32) error {
	if h.knows > inc {
		return fmt.Errorf("%v knows incarnation %d of this node, this is %d: %w", h.from, h.knows, inc, ErrSuperseded)
	}
	return nil
}

// proof shows that who says hello has the key, on this connection and no other.
func proof(key []byte, who string, binding, dialer, listener []byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte("lazystate-dsm/1 "), []byte(who), binding, dialer, listener} {
		m.Write(part)
	}
	return m.Sum(nil)
}

const dialerSays, listenerSays = "dialer  ", "listener" // of one length

// errKey is who does not have the key.
var errKey = errors.New("it does not prove that it has this run's key")

// greet is the dialer's part: who answers, and has proven it.
func greet(c io.ReadWriter, binding []byte, key []byte, mine hello) (hello, error) {
	sent := mine.bytes()
	if _, err := c.Write(sent); err != nil {
		return hello{}, err
	}
	got, err := readHello(c)
	if err != nil {
		return hello{}, err
	}
	its, err := parseHello(got)
	if err == nil {
		err = its.fits(mine)
	}
	if err != nil {
		return hello{}, err
	}
	said := make([]byte, proofSize)
	if _, err := io.ReadFull(c, said); err != nil {
		return hello{}, err
	}
	if !hmac.Equal(said, proof(key, listenerSays, binding, sent, got)) {
		return hello{}, errKey
	}
	if err := its.supersedes(mine.inc); err != nil {
		return hello{}, err
	}
	if _, err = c.Write(proof(key, dialerSays, binding, sent, got)); err != nil {
		return hello{}, err
	}
	word := make([]byte, 5)
	if _, err := io.ReadFull(c, word[:4]); err != nil {
		return hello{}, err
	}
	if string(word[:4]) == yesMagic {
		return its, nil
	}
	if _, err := io.ReadFull(c, word[4:]); err != nil {
		return hello{}, err
	}
	return its, readNo(c, word)
}

// readNo reads why not; the text follows b.
func readNo(c io.Reader, b []byte) error {
	if word := string(b[:4]); word != noMagic && word != laterMagic {
		return fmt.Errorf("%q is no answer: %w", word, errOther)
	}
	why := make([]byte, b[4])
	if _, err := io.ReadFull(c, why); err != nil {
		return err
	}
	if string(b[:4]) == laterMagic {
		return fmt.Errorf("not now: it says %q", why)
	}
	return fmt.Errorf("it says %q: %w", why, errOther)
}

// readHello reads one, or why there is none.
func readHello(c io.Reader) ([]byte, error) {
	b := make([]byte, helloSize)
	if _, err := io.ReadFull(c, b[:5]); err != nil {
		return nil, err
	}
	if word := string(b[:4]); word == noMagic || word == laterMagic {
		return nil, readNo(c, b)
	}
	_, err := io.ReadFull(c, b[5:])
	return b, err
}

// answer is the listener's part. mine makes its hello, once it is known for whom,
// and may says whether it takes the connection.
func answer(c io.ReadWriter, binding []byte, key []byte, mine func(to dsm.NodeID) hello, may func(its hello) error) (its hello, err error) {
	got := make([]byte, helloSize)
	if _, err := io.ReadFull(c, got); err != nil {
		return its, err
	}
	its, err = parseHello(got)
	own := mine(its.from)
	if err == nil {
		err = its.fits(own)
	}
	if err != nil {
		_ = sayNo(c, err)
		return its, err
	}
	sent := own.bytes()
	if _, err := c.Write(append(sent, proof(key, listenerSays, binding, got, sent)...)); err != nil {
		return its, err
	}
	said := make([]byte, proofSize)
	if _, err := io.ReadFull(c, said); err != nil {
		return its, err
	}
	if !hmac.Equal(said, proof(key, dialerSays, binding, got, sent)) {
		return its, errKey
	}
	if err := may(its); err != nil {
		_ = sayNo(c, err)
		return its, err
	}
	_, err = c.Write([]byte(yesMagic))
	return its, err
}

func sayNo(c io.Writer, why error) error {
	word, text := laterMagic, why.Error()
	if errors.Is(why, errOther) || ends(why) || errors.Is(why, ErrSlow) { // it does not pass
		word = noMagic
	}
	text = text[:min(len(text), 255)]
	_, err := c.Write(append(append([]byte(word), byte(len(text))), text...))
	return err
}
