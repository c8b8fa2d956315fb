// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/klauspost/compress/zstd"
)

// Offsets in the setup header (Documentation/arch/x86/boot.rst).
const (
	setupSectsOff     = 0x1f1
	headerMagicOff    = 0x202 // "HdrS"
	payloadOffsetOff  = 0x248
	payloadLengthOff  = 0x24c
	setupHeaderEndOff = 0x250
)

var errNotKernel = errors.New("not a bzImage")

// extractVmlinux writes the ELF image that is the payload of a bzImage.
func extractVmlinux(vmlinuz, out string) error {
	b, err := os.ReadFile(vmlinuz)
	if err != nil {
		return err
	}
	payload, err := bzPayload(b)
	if err != nil {
		return fmt.Errorf("%s: %w", vmlinuz, err)
	}
	image, err := decompress(payload)
	if err != nil {
		return fmt.Errorf("%s: %w", vmlinuz, err)
	}
	if _, err := elf.NewFile(bytes.NewReader(image)); err != nil {
		return fmt.Errorf("payload of %s: %w", vmlinuz, err)
	}
	return os.WriteFile(out, image, 0o644)
}

func bzPayload(b []byte) ([]byte, error) {
	if len(b) < setupHeaderEndOff || string(b[headerMagicOff:headerMagicOff+4]) != "HdrS" {
		return nil, errNotKernel
	}
	sects := int(b[setupSectsOff])
	if sects == 0 {
		sects = 4
	}
	start := (sects+1)*512 + int(binary.LittleEndian.Uint32(b[payloadOffsetOff:]))
	end := start + int(binary.LittleEndian.Uint32(b[payloadLengthOff:]))
	if start > end || end > len(b) {
		return nil, errNotKernel
	}
	return b[start:end], nil
}

// decompress knows the two compressions Debian's kernels use. The last four
// bytes of a payload are the image's size, not compressed data.
func decompress(p []byte) ([]byte, error) {
	if len(p) < 8 {
		return nil, errNotKernel
	}
	size := int64(binary.LittleEndian.Uint32(p[len(p)-4:]))
	body := bytes.NewReader(p[:len(p)-4])
	switch {
	case bytes.HasPrefix(p, []byte("\xfd7zXZ\x00")):
		return unxz(body)
	case bytes.HasPrefix(p, []byte("\x28\xb5\x2f\xfd")):
		d, err := zstd.NewReader(body, zstd.WithDecoderMaxWindow(1<<28))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		image := make([]byte, size)
		_, err = io.ReadFull(d, image)
		return image, err
	}
	return nil, fmt.Errorf("unknown compression % x", p[:6])
}

// unxz runs xz(1): the kernel's payload uses the x86 branch filter, which the
// Go implementations lack.
func unxz(r io.Reader) ([]byte, error) {
	cmd := exec.Command("xz", "--decompress", "--stdout", "--single-stream")
	cmd.Stdin = r
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("xz: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
