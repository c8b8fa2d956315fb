// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// settle finds the past in the folders, and gives each what it lacks of it. A
// folder that a later incarnation did not have with it is behind: nothing in it
// counts.
func (s *Store) settle() (*Past, error) {
	for _, f := range s.folders {
		s.inc = max(s.inc, f.win.Incarnation)
	}
	past := &Past{}
	current := slices.DeleteFunc(slices.Clone(s.folders), func(f *folder) bool { return f.win.Incarnation < s.inc })
	lead := s.choose(current, past)
	if err := s.repair(lead, current); err != nil {
		return nil, err
	}
	for _, k := range lead.win.Kept {
		if err := lead.find(k.Number).err; err != nil {
			past.Damaged = append(past.Damaged, fmt.Errorf("checkpoint %d: %w", k.Number, err))
		}
		past.Window = append(past.Window, lead.past(k))
	}
	s.inc++
	return past, nil
}

// repair gives each folder what another has of the window of lead.
func (s *Store) repair(lead *folder, current []*folder) error {
	if len(s.folders) == 1 {
		return nil // what else is damaged is found when it is asked for
	}
	for _, k := range lead.win.Kept {
		has := whole(current, k.Number)
		for _, f := range s.folders {
			if err := f.provide(k.Number, has); err != nil {
				return err
			}
		}
	}
	for _, f := range s.folders {
		f.follow(lead)
	}
	return nil
}

// choose returns the folder whose last checkpoint is the newest that can be read,
// after setting newer ones aside.
func (s *Store) choose(current []*folder, past *Past) *folder {
	for {
		lead := slices.MaxFunc(current, func(a, b *folder) int { return int(a.win.last()) - int(b.win.last()) })
		n := lead.win.last()
		if n == 0 {
			return lead
		}
		for _, f := range current {
			if f.win.last() != n {
				continue
			}
			var err error
			if past.State, past.Private, err = f.contents(f.find(n)); err == nil {
				return f
			}
			past.State, past.Private = nil, nil
			past.Damaged = append(past.Damaged, fmt.Errorf("checkpoint %d: %w", n, err))
		}
		for _, f := range current {
			f.setAside(n)
		}
	}
}

// setAside takes a checkpoint that cannot be read out of the window, and leaves it
// for whoever wants to look.
func (f *folder) setAside(number uint32) {
	if f.win.find(number) == nil {
		return
	}
	f.win, f.dirty = f.win.without(number), true
	f.ckpts = slices.DeleteFunc(f.ckpts, func(c *ckpt) bool { return c.number == number })
	_ = removeAll(f.d, f.path(damagedPrefix, number))
	_ = f.d.rename(f.path(ckptPrefix, number), f.path(damagedPrefix, number))
}

// whole finds a folder whose checkpoint of this number can be read.
func whole(current []*folder, number uint32) *folder {
	for _, f := range current {
		if c := f.find(number); c != nil && f.intact(c) {
			return f
		}
	}
	return nil
}

// intact is true if all of a checkpoint can be read.
func (f *folder) intact(c *ckpt) bool {
	_, _, err := f.contents(c)
	return err == nil
}

// provide gives the folder a checkpoint that another has.
func (f *folder) provide(number uint32, from *folder) error {
	c := f.find(number)
	if from == nil || from == f || c != nil && f.equals(from, number) && f.intact(c) {
		return nil
	}
	if _, err := f.d.names(f.path(ckptPrefix, number)); err == nil {
		if err := f.bury(number); err != nil {
			return err
		}
	}
	if err := f.fetch(from, number); err != nil {
		return fmt.Errorf("%s: copy checkpoint %d of %s: %w", f.dir, number, from.dir, err)
	}
	return nil
}

// equals is true if both say the same of a checkpoint.
func (f *folder) equals(other *folder, number uint32) bool {
	a, errA := read(f.d, filepath.Join(f.path(ckptPrefix, number), manifestName), mostJSON)
	b, errB := read(other.d, filepath.Join(other.path(ckptPrefix, number), manifestName), mostJSON)
	return errors.Join(errA, errB) == nil && bytes.Equal(a, b)
}

// fetch copies a checkpoint of another folder.
func (f *folder) fetch(from *folder, number uint32) error {
	source, dir := from.path(ckptPrefix, number), f.path(newPrefix, number)
	if err := removeAll(f.d, dir); err != nil {
		return err
	}
	if err := f.d.mkdir(dir); err != nil {
		return err
	}
	names := []string{manifestName, stateName, privateName, indexName}
	for _, s := range from.find(number).m.Segments {
		names = append(names, s.name())
	}
	for _, name := range names {
		if err := f.fetchFile(from, filepath.Join(source, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := f.d.sync(dir); err != nil {
		return err
	}
	return errors.Join(f.d.rename(dir, f.path(ckptPrefix, number)), f.d.sync(f.dir))
}

func (f *folder) fetchFile(from *folder, source, path string) error {
	in, err := from.d.open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Size()
	if err != nil {
		return err
	}
	return write(f.d, path, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(in, 0, size))
		return err
	})
}

// follow makes the window that of another folder.
func (f *folder) follow(lead *folder) {
	for _, c := range f.ckpts {
		if lead.win.find(c.number) == nil {
			f.discard(c.number)
		}
	}
	f.win.Kept, f.ckpts, f.dirty = slices.Clone(lead.win.Kept), nil, true
	for _, k := range f.win.Kept {
		f.ckpts = append(f.ckpts, f.load(k.Number))
	}
}
