// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"lazystate/tools/lab"
)

// What is committed is what the sources make, with the compiler of Debian 12.
func TestObjectIsThatOfTheSources(t *testing.T) {
	v, err := exec.Command("clang", "--version").Output()
	if err != nil || !bytes.Contains(v, []byte("clang version 14.")) {
		lab.Skip(t, "no clang 14")
	}
	src, err := os.ReadFile("gen.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(src), "//go:generate ")
	if !ok {
		t.Fatal("gen.go generates nothing")
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", strings.Replace(strings.TrimSpace(line), "bpf2go ", "bpf2go -output-dir "+dir+" ", 1))
	cmd.Env = append(os.Environ(), "GOPACKAGE=steer", "GOFILE=gen.go")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"bpf_bpfel.go", "bpf_bpfel.o"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its sources make (%v): make generate", name, err)
		}
	}
}

// The Go side's idea of a layout is the C side's, whose sizes bpf/steer.h asserts.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		name         string
		size, binary int
		want         int
	}{
		{"flow", int(unsafe.Sizeof(bpfFlow{})), binary.Size(bpfFlow{}), 36},
		{"session", int(unsafe.Sizeof(bpfSession{})), binary.Size(bpfSession{}), 128},
		{"wire", int(unsafe.Sizeof(bpfWire{})), binary.Size(bpfWire{}), 40},
		{"event", int(unsafe.Sizeof(bpfEvent{})), binary.Size(bpfEvent{}), eventSize},
		{"query", int(unsafe.Sizeof(bpfQuery{})), binary.Size(bpfQuery{}), 96},
		{"kept", int(unsafe.Sizeof(bpfKept{})), binary.Size(bpfKept{}), 44},
		{"hold", int(unsafe.Sizeof(bpfHold{})), binary.Size(bpfHold{}), 16},
		{"service", int(unsafe.Sizeof(bpfService{})), binary.Size(bpfService{}), 40},
	} {
		if c.size != c.want || c.binary != c.want {
			t.Errorf("%s has %d bytes in memory and %d encoded, C has %d", c.name, c.size, c.binary, c.want)
		}
	}
}
