// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// fakeCache writes a kernel's module files and lists as depmod would.
func fakeCache(t *testing.T) *Kernel {
	t.Helper()
	k := &Kernel{Series: "6.1", Release: "6.1.0-1-amd64", Dir: t.TempDir()}
	write(t, filepath.Join(k.modulesDir(), "modules.dep"), `kernel/a.ko: kernel/dir/b-c.ko kernel/d.ko
kernel/dir/b-c.ko: kernel/d.ko
kernel/d.ko:
kernel/rdma_rxe.ko: kernel/a.ko kernel/dir/b-c.ko kernel/d.ko
kernel/crc32_generic.ko:
`)
	write(t, filepath.Join(k.modulesDir(), "modules.builtin"), "kernel/drivers/virtio/virtio-pci.ko\n")
	return k
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestModulesComeAfterTheirDependencies(t *testing.T) {
	k := fakeCache(t)
	for names, want := range map[string]string{
		"a":            "d b_c a",
		"b-c":          "d b_c",
		"d a":          "d b_c a",
		"virtio_pci":   "",
		"rdma_rxe":     "crc32_generic d b_c a rdma_rxe",
		"virtio-pci d": "d",
	} {
		mods, err := k.ModulePaths(strings.Fields(names)...)
		if err != nil {
			t.Errorf("%s: %v", names, err)
		}
		var got []string
		for _, m := range mods {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", names, diff)
		}
	}
	if _, err := k.ModulePaths("no_such"); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("a module that does not exist: %v", err)
	}
}

func TestCompressedModule(t *testing.T) {
	k := fakeCache(t)
	write(t, filepath.Join(k.modulesDir(), "modules.dep"), "kernel/a.ko.xz:\n")
	plain := []byte("a module")
	cmd := exec.Command("xz", "-c")
	cmd.Stdin = bytes.NewReader(plain)
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal("xz, which unpacks Debian's modules (package xz-utils): ", err)
	}
	write(t, filepath.Join(k.modulesDir(), "kernel/a.ko.xz"), string(packed))
	mods, err := k.ModulePaths("a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(mods[0].Path); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%s: %q, %v", mods[0].Path, got, err)
	}
}

// bzImage wraps a payload as arch/x86/boot does.
func bzImage(payload []byte, size int) []byte {
	b := make([]byte, 3*512+16)
	b[setupSectsOff] = 2
	copy(b[headerMagicOff:], "HdrS")
	binary.LittleEndian.PutUint32(b[payloadOffsetOff:], 16)
	binary.LittleEndian.PutUint32(b[payloadLengthOff:], uint32(len(payload)+4))
	b = append(b, payload...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	return append(b, "what follows the payload"...)
}

func TestPayload(t *testing.T) {
	image := bytes.Repeat([]byte("kernel "), 5000)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bzPayload(bzImage(enc.EncodeAll(image, nil), len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decompress(p); err != nil || !bytes.Equal(got, image) {
		t.Errorf("%d bytes of %d, %v", len(got), len(image), err)
	}
	if _, err := decompress([]byte("\x1f\x8b gzip is not used by Debian")); err == nil {
		t.Error("an unknown compression passes")
	}
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(bzImage([]byte("payload"), 7))
	f.Add([]byte("HdrS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := bzPayload(b); err == nil && len(p) > len(b) {
			t.Fatal("more payload than image")
		}
	})
}

func TestImageDependency(t *testing.T) {
	for depends, want := range map[string]string{
		"linux-image-6.1.0-56-amd64 (= 6.1.192-2)":                          "6.1.0-56-amd64 6.1.192-2",
		"linux-image-6.12.117+deb12-amd64 (= 6.12.117-1~deb12u1)":           "6.12.117+deb12-amd64 6.12.117-1~deb12u1",
		"firmware (= 1), linux-image-6.1.0-9-amd64 (= 6.1.27-1), initramfs": "6.1.0-9-amd64 6.1.27-1",
		"linux-image-amd64 (= 6.1)":                                         "",
	} {
		m := imageDep.FindStringSubmatch(depends)
		got := ""
		if m != nil {
			got = m[1] + " " + m[2]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", depends, got, want)
		}
	}
}

func TestOfflineUsesTheNewestCached(t *testing.T) {
	cache := t.TempDir()
	if newestCached(cache, "6.1") != nil {
		t.Fatal("an empty cache has a kernel")
	}
	for _, v := range []string{"6.1.9-1", "6.1.10-1"} {
		k := &Kernel{Series: "6.1", Release: "r" + v, Version: v, Dir: filepath.Join(cache, "6.1_"+v)}
		if err := os.MkdirAll(k.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := k.writeRecord(); err != nil {
			t.Fatal(err)
		}
	}
	old := filepath.Join(cache, "6.1_6.1.9-1", "kernel.json")
	st, err := os.Stat(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, st.ModTime(), st.ModTime().Add(-1e9)); err != nil {
		t.Fatal(err)
	}
	if k := newestCached(cache, "6.1"); k == nil || k.Version != "6.1.10-1" {
		t.Errorf("%+v", k)
	}
	if newestCached(cache, "6.12") != nil {
		t.Error("6.12 is found where only 6.1 is")
	}
}
