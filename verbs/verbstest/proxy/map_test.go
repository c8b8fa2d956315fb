// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Frames come in any order; runs of them are one mapping.
func TestMapFile(t *testing.T) {
	page := os.Getpagesize()
	file := filepath.Join(t.TempDir(), "ram")
	var ram []byte
	for i := range 6 {
		ram = append(ram, bytes.Repeat([]byte{byte('a' + i)}, page)...)
	}
	if err := os.WriteFile(file, ram, 0o600); err != nil {
		t.Fatal(err)
	}
	m := MapFile(file)
	b, err := m([]uint64{4, 5, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i := range 4 {
		got = append(got, b[i*page], b[(i+1)*page-1])
	}
	if string(got) != "eeffbbaa" {
		t.Errorf("pages %s", got)
	}
	b[2*page] = 'X'
	if after, err := os.ReadFile(file); err != nil || after[page] != 'X' {
		t.Errorf("a write is not in the file: %v", err)
	}
	if err := unmap(b); err != nil {
		t.Error(err)
	}
	if _, err := MapFile(file + "-not")([]uint64{1}); err == nil {
		t.Error("a file that is not there")
	}
}

func TestPagesOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is told page frames")
	}
	frames, err := pagesOf(make([]byte, 3*os.Getpagesize()))
	if err != nil || len(frames) < 3 {
		t.Errorf("frames %v, %v", frames, err)
	}
}
