// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// libPath is where Debian keeps libraries on amd64.
var libPath = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/lib", "/usr/lib"}

// AddELF adds an executable or library and every library it needs. A file that
// is no ELF file is added alone.
func (b *Builder) AddELF(guest, host string) error {
	st, err := os.Stat(host)
	if err != nil {
		return err
	}
	b.AddFile(guest, host, st.Mode())
	needed, interp, err := dynamic(host)
	if err != nil {
		return fmt.Errorf("%s: %w", host, err)
	}
	if interp != "" && !b.Has(interp) {
		real, err := filepath.EvalSymlinks(interp)
		if err != nil {
			return err
		}
		b.AddFile(interp, real, 0o755)
	}
	for _, lib := range needed {
		if err := b.addLib(lib); err != nil {
			return fmt.Errorf("%s needs: %w", host, err)
		}
	}
	return nil
}

// Needs returns a program and all files it needs, as guest path -> host path,
// for a guest that is already up.
func Needs(guest, host string) (map[string]string, error) {
	b := &Builder{entries: map[string]entry{}}
	if err := b.AddELF(guest, host); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for path, e := range b.entries {
		if e.host != "" {
			files[path] = e.host
		}
	}
	return files, nil
}

func (b *Builder) addLib(name string) error {
	guest := "/usr/lib/x86_64-linux-gnu/" + name
	if b.Has(guest) || b.Has("/lib64/"+name) {
		return nil
	}
	for _, dir := range append(b.libDirs, libPath...) {
		real, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if err := b.AddELF(guest, real); err != nil {
			return err
		}
		// The loader of a guest without ld.so.cache looks here.
		b.AddLink("/lib/x86_64-linux-gnu/"+name, guest)
		return nil
	}
	return fmt.Errorf("library %s is neither on this machine nor in the packages", name)
}

// dynamic returns what a file's dynamic section and interpreter ask for.
func dynamic(host string) (needed []string, interp string, err error) {
	f, err := elf.Open(host)
	var notELF *elf.FormatError
	if errors.As(err, &notELF) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", ignoreShort(err)
	}
	defer f.Close()
	needed, err = f.ImportedLibraries()
	if err != nil {
		return nil, "", err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		path := make([]byte, p.Filesz)
		if _, err := p.ReadAt(path, 0); err != nil {
			return nil, "", err
		}
		interp = string(bytes.TrimRight(path, "\x00"))
	}
	return needed, interp, nil
}

// ignoreShort takes a file too short for an ELF header as no ELF file.
func ignoreShort(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}
