// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

const (
	ethLen     = 14
	defaultMax = 4096
	rodata     = ".rodata" // constants: each collection has its own
)

// loader makes collections of the one object that share their maps: programs
// for links with and without Ethernet addresses differ in a constant.
type loader struct {
	pin   string
	sizes map[string]uint32
	keep  []string // programs
	gate  bool     // options of others pass
	maps  map[string]*ebpf.Map
	colls map[uint32]*ebpf.Collection // by length of the link's header
}

func newLoader(pin string, sizes map[string]uint32, programs ...string) (*loader, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	if pin != "" {
		if err := os.MkdirAll(pin, 0o700); err != nil {
			return nil, fmt.Errorf("pin maps: %w", err)
		}
	}
	return &loader{pin: pin, sizes: sizes, keep: programs, colls: map[uint32]*ebpf.Collection{}}, nil
}

// load returns the programs for links whose header has this length.
func (l *loader) load(header uint32) (*ebpf.Collection, error) {
	if c := l.colls[header]; c != nil {
		return c, nil
	}
	spec, err := l.spec(header)
	if err != nil {
		return nil, err
	}
	opts := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: l.pin}, MapReplacements: l.maps}
	c, err := ebpf.NewCollectionWithOptions(spec, opts)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return nil, fmt.Errorf("load: %s holds maps of another layout, remove them (Clean): %w", l.pin, err)
	} else if err != nil {
		return nil, fmt.Errorf("load programs: %w", err)
	}
	if l.maps == nil {
		l.maps = map[string]*ebpf.Map{}
		for name, m := range c.Maps {
			if name != rodata {
				l.maps[name] = m
			}
		}
	}
	l.colls[header] = c
	return c, nil
}

func (l *loader) spec(header uint32) (*ebpf.CollectionSpec, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[bpfVarL2Len].Set(header); err != nil {
		return nil, fmt.Errorf("set the length of the link's header: %w", err)
	}
	if l.gate {
		if err := spec.Variables[bpfVarPassing].Set(uint32(1)); err != nil {
			return nil, fmt.Errorf("let options pass: %w", err)
		}
	}
	used := map[string]bool{}
	for name, p := range spec.Programs {
		if !slices.Contains(l.keep, name) {
			delete(spec.Programs, name)
			continue
		}
		for _, ins := range p.Instructions {
			used[ins.Reference()] = true
		}
	}
	for name, m := range spec.Maps {
		if name == rodata {
			continue
		}
		if !used[name] {
			delete(spec.Maps, name)
			continue
		}
		if n := l.sizes[name]; n > 0 {
			m.MaxEntries = n
		}
		if l.pin != "" && name != bpfMapScratch {
			m.Pinning = ebpf.PinByName
		}
	}
	return spec, nil
}

func (l *loader) close() {
	for _, c := range l.colls {
		c.Close()
	}
}

// unpin takes away the pinned maps, and the folder if nobody else has anything there.
func (l *loader) unpin() error {
	var err error
	for _, m := range l.maps {
		err = errors.Join(err, m.Unpin())
	}
	_ = os.Remove(l.pin)
	return err
}

// Clean takes away what a process that is gone has left: programs on the
// interfaces and what is pinned in dir. Sessions end as if they had never moved,
// which their peers answer with RST.
func Clean(dir string, interfaces ...string) error {
	err := detachAll(interfaces)
	if dir == "" {
		return err
	}
	entries, readErr := os.ReadDir(dir)
	if errors.Is(readErr, os.ErrNotExist) {
		return err
	}
	err = errors.Join(err, readErr)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(err, os.Remove(dir))
}
