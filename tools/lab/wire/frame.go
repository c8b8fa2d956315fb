// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// Kind says what a frame's body is.
type Kind uint8

const (
	KindHello   Kind = iota + 1 // guest: JSON Hello, once per boot
	KindRequest                 // host: JSON Request, opens an id
	KindReply                   // guest: JSON Reply, closes an id
	KindStdin                   // host: bytes for the process or the file; empty ends the stream
	KindStdout                  // guest: bytes
	KindStderr                  // guest: bytes
	KindCancel                  // host: nobody waits for this id any more
	KindCredit                  // guest: one KindStdin frame was consumed
)

// MaxBody bounds a frame so that one write is one virtio buffer: the guest
// kernel must find that much contiguous memory even when it is exhausted.
const MaxBody = 8 << 10

// StdinWindow is the number of KindStdin frames a host may have under way.
const StdinWindow = 16

const (
	magic      = 0x314d524642414c5a // "ZLABFRM1" in little-endian order
	headerSize = 24
)

// Frame is one message.
type Frame struct {
	Kind Kind
	ID   uint32
	Body []byte
}

// Header, little-endian: magic u64, id u32, kind u8, zero u8, length u16,
// crc32 of the 16 bytes before it, crc32 of the body.
func encode(dst []byte, f Frame) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, magic)
	dst = binary.LittleEndian.AppendUint32(dst, f.ID)
	dst = append(dst, byte(f.Kind), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(f.Body)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[len(dst)-16:]))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(f.Body))
	return append(dst, f.Body...)
}

// Writer writes frames, each in one Write call, from any number of goroutines.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: make([]byte, 0, headerSize+MaxBody)}
}

func (w *Writer) Write(f Frame) error {
	if len(f.Body) > MaxBody {
		return fmt.Errorf("wire: body of %d bytes, the most is %d", len(f.Body), MaxBody)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = encode(w.buf[:0], f)
	_, err := w.w.Write(w.buf)
	return err
}

// WriteJSON writes v as the body of a frame.
func (w *Writer) WriteJSON(k Kind, id uint32, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Write(Frame{Kind: k, ID: id, Body: body})
}

// Preamble ends a frame torn by a reset; only a starting guest sends it.
func (w *Writer) Preamble() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	zeros := make([]byte, MaxBody)
	for sent := 0; sent < headerSize+MaxBody; sent += len(zeros) {
		if _, err := w.w.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}

// Reader reads frames and skips whatever is none.
type Reader struct{ r *bufio.Reader }

func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 4*(headerSize+MaxBody))}
}

// Next returns the next whole frame. Its error is the underlying reader's.
func (r *Reader) Next() (Frame, error) {
	for {
		h, err := r.r.Peek(headerSize)
		if err != nil {
			return Frame{}, err
		}
		f, n, ok := decodeHeader(h)
		if !ok {
			r.r.Discard(1)
			continue
		}
		whole, err := r.r.Peek(headerSize + n)
		if err != nil {
			return Frame{}, err
		}
		f.Body = append([]byte(nil), whole[headerSize:]...)
		if crc32.ChecksumIEEE(f.Body) != binary.LittleEndian.Uint32(whole[20:]) {
			r.r.Discard(1)
			continue
		}
		r.r.Discard(headerSize + n)
		return f, nil
	}
}

func decodeHeader(h []byte) (Frame, int, bool) {
	n := int(binary.LittleEndian.Uint16(h[14:]))
	if binary.LittleEndian.Uint64(h) != magic || n > MaxBody ||
		crc32.ChecksumIEEE(h[:16]) != binary.LittleEndian.Uint32(h[16:]) {
		return Frame{}, 0, false
	}
	return Frame{Kind: Kind(h[12]), ID: binary.LittleEndian.Uint32(h[8:])}, n, true
}
