// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// object is the lifetime that every verbs object has. A child refers to its
// parents, which therefore live as long as it does; a parent counts its
// children and refuses to be closed before them.
type object struct {
	kind    string
	id      uint32
	tree    *sync.Mutex // one for all objects of a device
	parents []*object
	kids    map[*object]struct{}
	closed  bool
	trace   *trace
}

// String returns kind and number: "qp 17".
func (o *object) String() string {
	if o.id == 0 {
		return o.kind
	}
	return fmt.Sprintf("%s %d", o.kind, o.id)
}

// attach makes o a child of parents, before there is anything behind it: so
// that no parent can be closed while the device makes it.
func (o *object) attach(kind string, parents ...*object) error {
	o.kind, o.tree = kind, parents[0].tree
	o.tree.Lock()
	defer o.tree.Unlock()
	for _, p := range parents {
		if p.tree != o.tree {
			return fmt.Errorf("make %s: %v is of another device: %w", kind, p, ErrInvalid)
		}
		if p.closed {
			return fmt.Errorf("make %s: %v: %w", kind, p, ErrClosed)
		}
	}
	o.parents = parents
	for _, p := range parents {
		if p.kids == nil {
			p.kids = map[*object]struct{}{}
		}
		p.kids[o] = struct{}{}
	}
	return nil
}

// made ends what attach began: id is the object's number, err why there is none.
func (o *object) made(id uint32, err error) error {
	o.tree.Lock()
	defer o.tree.Unlock()
	if err != nil {
		o.detach()
		return fmt.Errorf("make %s of %v: %w", o.kind, o.parents[0], err)
	}
	o.id = id
	o.trace = newTrace(o)
	return nil
}

func (o *object) detach() {
	o.closed = true
	for _, p := range o.parents {
		delete(p.kids, o)
	}
	o.trace.end()
}

// close ends the object by calling destroy, unless it has children. Closing
// what is closed does nothing.
func (o *object) close(destroy func() error) error {
	o.tree.Lock()
	defer o.tree.Unlock()
	if o.closed {
		return nil
	}
	if len(o.kids) > 0 {
		return o.busy()
	}
	o.closed = true // a destroy may take its time: nobody attaches meanwhile
	o.tree.Unlock()
	err := destroy()
	o.tree.Lock()
	if err != nil {
		o.closed = false
		return fmt.Errorf("close %v: %w", o, err)
	}
	o.detach()
	return nil
}

func (o *object) busy() error {
	e := &BusyError{Object: o.String()}
	for k := range o.kids {
		e.Children = append(e.Children, k.String())
	}
	slices.Sort(e.Children)
	return e
}

// BusyError refuses to close what others are made of: close the children first.
type BusyError struct {
	Object   string
	Children []string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("close %s: still in use by %s", e.Object, strings.Join(e.Children, ", "))
}
