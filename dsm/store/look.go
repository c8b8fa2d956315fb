// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// Folder is a node's folder as somebody sees it who only looks.
type Folder struct {
	Dir         string       `json:"dir"`
	Node        dsm.NodeID   `json:"node"`
	Nodes       int          `json:"nodes"`
	Pages       int          `json:"pages"`
	PageSize    int          `json:"page_size"`
	Incarnation uint32       `json:"incarnation"`
	InUse       bool         `json:"in_use"` // a daemon has it: what is read may be gone already
	Window      []Checkpoint `json:"window"` // oldest first
	Others      []string     `json:"others"` // what lies there and does not count: half written, damaged, on its way out

	f *folder
}

// Checkpoint is one of the window.
type Checkpoint struct {
	Number      uint32     `json:"number"`
	V           vtime.Time `json:"v_h"`
	Gone        int        `json:"gone"` // pages that were discarded
	Error       string     `json:"error,omitempty"`
	Incarnation uint32     `json:"incarnation,omitempty"`
	Time        time.Time  `json:"time"`
	T           vtime.Time `json:"t_ckp,omitempty"`
	Ordinal     uint64     `json:"ordinal,omitempty"`
	Barriers    uint64     `json:"barriers,omitempty"`
	Pages       int        `json:"pages"`
	Fresh       int        `json:"fresh"` // of these, written by this checkpoint
	State       int64      `json:"state_bytes"`
	Private     int64      `json:"private_bytes"`
}

// Look reads a node's folder and changes nothing. A checkpoint whose outline cannot
// be read has an Error.
func Look(dir string) (*Folder, error) {
	d := osDisk{}
	w, err := readWindow(d, dir)
	if err != nil {
		return nil, err
	}
	f := &folder{d: d, dir: dir, c: w.cluster, win: *w}
	look := &Folder{
		Dir: dir, Node: w.Node, Nodes: w.Nodes, Pages: w.Pages, PageSize: w.PageSize, Incarnation: w.Incarnation,
		Window: []Checkpoint{}, Others: []string{}, InUse: inUse(dir), f: f,
	}
	for _, k := range w.Kept {
		c := f.load(k.Number)
		f.ckpts = append(f.ckpts, c)
		look.Window = append(look.Window, outlineOf(c, k))
	}
	names, err := d.names(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n, ok := numbered(name, ckptPrefix)
		if name != windowName && name != lockName && (!ok || w.find(n) == nil) {
			look.Others = append(look.Others, name)
		}
	}
	return look, nil
}

func outlineOf(c *ckpt, k kept) Checkpoint {
	o := Checkpoint{Number: k.Number, V: k.V}
	for p := range dsm.Page(8 * len(k.Gone)) {
		if k.Gone.has(p) {
			o.Gone++
		}
	}
	if c.err != nil {
		o.Error = c.err.Error()
		return o
	}
	m := c.m
	o.Incarnation, o.Time, o.T, o.Ordinal, o.Barriers = m.Incarnation, m.Time, m.T, m.Ordinal, m.Barriers
	o.Pages, o.State, o.Private = len(c.entries), m.State.Bytes, m.Private.Bytes
	for _, e := range c.entries {
		if e.at.segment == m.Number {
			o.Fresh++
		}
	}
	return o
}

// inUse is true if a process has the folder's lock.
func inUse(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// Read reads a whole checkpoint, and so verifies it.
func (l *Folder) Read(number uint32) (*dsm.State, []byte, error) {
	c := l.f.find(number)
	if c == nil {
		return nil, nil, fmt.Errorf("%s: checkpoint %d is not kept", l.Dir, number)
	}
	return l.f.contents(c)
}

// Folders finds nodes' folders: dir itself, or those in it.
func Folders(dir string) ([]string, error) {
	if _, err := os.Lstat(filepath.Join(dir, windowName)); err == nil {
		return []string{dir}, nil
	}
	all, err := filepath.Glob(filepath.Join(escape(dir), "*", windowName))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no node's folder of checkpoints, and none in it", dir)
	}
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	slices.Sort(all)
	return all, nil
}

// escape has a path mean itself in a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
