// SPDX-License-Identifier: Apache-2.0

package confile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
)

// longest is more than any configuration needs, and costs no memory to speak of.
const longest = 1 << 20

// Read takes regular files only: a FIFO is waited for, a device read, without end.
func Read(path string) ([]byte, error) {
	switch st, err := os.Stat(path); {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case st.Size() > longest:
		return nil, fmt.Errorf("%s: %d bytes, at most %d", path, st.Size(), longest)
	}
	return os.ReadFile(path)
}

// Load reads a file and has parse check it; errors begin with its name.
func Load[C any](path string, parse func([]byte) (*C, error)) (*C, error) {
	b, err := Read(path)
	if err != nil {
		return nil, err
	}
	c, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Decode reads one YAML document into v, strictly. io.EOF: there is none.
func Decode(b []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	err := dec.Decode(v)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return errors.New(yaml.FormatError(err, false, true))
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("a second YAML document: want one")
	}
	return nil
}
