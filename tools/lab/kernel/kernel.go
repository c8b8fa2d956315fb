// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Kernel is one unpacked kernel.
type Kernel struct {
	Series  string // "6.1"
	Release string // uname -r
	Version string // of the Debian package
	Dir     string // the cache folder of this version
}

// metaPackages are what Debian 12 points at its current kernels with.
var metaPackages = map[string]struct{ image, headers string }{
	"6.1":  {"linux-image-amd64", "linux-headers-amd64"},
	"6.12": {"linux-image-6.12-amd64", "linux-headers-6.12-amd64"},
}

// Series lists the kernels the lab knows.
func Series() []string { return []string{"6.1", "6.12"} }

// Get resolves, and unless the cache has that version already, downloads and
// unpacks a kernel. Several processes may call it at once.
func Get(ctx context.Context, cache, series string) (*Kernel, error) {
	if !slices.Contains(Series(), series) {
		return nil, fmt.Errorf("kernel %q: the lab knows %v", series, Series())
	}
	unlock, err := lockDir(cache)
	if err != nil {
		return nil, err
	}
	defer unlock()
	k, err := resolveCached(ctx, cache, series)
	if err != nil {
		if old := newestCached(cache, series); old != nil {
			return old, nil // offline: what was resolved last
		}
		return nil, err
	}
	k.Dir = filepath.Join(cache, k.Series+"_"+k.Version)
	if _, err := os.Stat(k.record()); err == nil {
		return k, nil
	}
	if err := k.unpack(ctx); err != nil {
		return nil, fmt.Errorf("kernel %s %s: %w", series, k.Version, err)
	}
	return k, k.writeRecord()
}

func (k *Kernel) record() string { return filepath.Join(k.Dir, "kernel.json") }

// writeRecord comes last: a folder without it is an interrupted unpacking.
func (k *Kernel) writeRecord() error {
	b, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(k.record(), append(b, '\n'), 0o644)
}

func newestCached(cache, series string) *Kernel {
	var best *Kernel
	var bestTime int64
	all, _ := filepath.Glob(filepath.Join(cache, series+"_*", "kernel.json"))
	for _, p := range all {
		st, err := os.Stat(p)
		if err != nil || st.ModTime().UnixNano() < bestTime {
			continue
		}
		var k Kernel
		b, err := os.ReadFile(p)
		if err == nil && json.Unmarshal(b, &k) == nil {
			k.Dir, best, bestTime = filepath.Dir(p), &k, st.ModTime().UnixNano()
		}
	}
	return best
}

// Vmlinuz is the compressed image: KASLR happens.
func (k *Kernel) Vmlinuz() string { return filepath.Join(k.Dir, "image/boot/vmlinuz-"+k.Release) }

// Vmlinux is the uncompressed image with its PVH entry: fast, no KASLR.
func (k *Kernel) Vmlinux() string { return filepath.Join(k.Dir, "vmlinux") }

// HeadersDir is what a module is built against.
func (k *Kernel) HeadersDir() string {
	return filepath.Join(k.Dir, "headers/usr/src/linux-headers-"+k.Release)
}

func (k *Kernel) modulesDir() string {
	return filepath.Join(k.Dir, "image/lib/modules", k.Release)
}
