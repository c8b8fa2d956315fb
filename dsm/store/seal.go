// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// errDamaged is a file that is not what was written.
var errDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

const (
	sealFormat = "crc32c %08x\n"
	sealSize   = len("crc32c 00000000\n")
)

// seal is a value as JSON, with its checksum on a line behind it.
func seal(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	return fmt.Appendf(b, sealFormat, checksum(b)), nil
}

// unseal reads what seal writes, and nothing else.
func unseal(b []byte, v any) error {
	if len(b) < sealSize {
		return damaged("%d bytes", len(b))
	}
	text, line := b[:len(b)-sealSize], b[len(b)-sealSize:]
	if want := fmt.Sprintf(sealFormat, checksum(text)); string(line) != want {
		return damaged("it ends with %q, not %q", line, want)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return damaged("%v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return damaged("there is more behind its end")
	}
	return nil
}
