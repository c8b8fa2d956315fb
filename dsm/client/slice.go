// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"reflect"
	"unsafe"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/heap"
)

// line is the least alignment of what is reserved: false sharing of cache lines
// costs little, of pages more.
const line = 64

// Slice reserves count elements of shared memory, zeros at the beginning. All
// nodes reserve the same in the same order. Elements have no pointers. What has a
// page or more begins at a page.
func Slice[T any](n *Node, count int) []T {
	size := sized[T](count)
	n.reserve(fmt.Sprintf("%d elements of %v", count, reflect.TypeFor[T]()), size)
	align := line
	if size >= n.pageSize {
		align = n.pageSize
	}
	at := (n.top - size) / align * align
	if size > n.top || at < n.pageSize { // the first page is the heap's
		fail("slice", fmt.Errorf("%d bytes, %d of %d are free: %w", size, n.top, len(n.region), heap.ErrFull))
	}
	n.top = at
	return view[T](n, at, count)
}

// sized is the size of count elements, if they can be shared.
func sized[T any](count int) int {
	t := reflect.TypeFor[T]()
	if why := unshared(t); why != "" {
		fail("share "+t.String(), fmt.Errorf("it has a %s, which means nothing to another process", why))
	}
	size := int(t.Size())
	if size == 0 || count <= 0 || count > 1<<46/size {
		fail("share "+t.String(), fmt.Errorf("%d elements of %d bytes", count, size))
	}
	return count * size
}

// unshared is what a type has that cannot be shared.
func unshared(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Array:
		return unshared(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if why := unshared(t.Field(i).Type); why != "" {
				return why
			}
		}
		return ""
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.String, reflect.UnsafePointer, reflect.Uintptr:
		return t.Kind().String()
	}
	return ""
}

func view[T any](n *Node, at, count int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&n.region[at])), count)
}

// offset is where a shared slice begins in the region.
func offset[T any](n *Node, s []T) (at, size int) {
	size = len(s) * int(reflect.TypeFor[T]().Size())
	at = int(uintptr(unsafe.Pointer(unsafe.SliceData(s))) - uintptr(unsafe.Pointer(&n.region[0])))
	if size == 0 || at < 0 || at > len(n.region)-size {
		fail("shared slice", fmt.Errorf("%d bytes at %d are not in the region of %d", size, at, len(n.region)))
	}
	return at, size
}

// Ref says where elements lie that were allocated, at all nodes. It can be stored
// in shared memory. The zero Ref is none.
type Ref[T any] struct{ At, Count uint64 }

// Alloc gives count elements of shared memory while the program runs. They are
// not zeros if they were freed before.
func Alloc[T any](n *Node, count int) (Ref[T], error) {
	size := sized[T](count)
	n.acquire(n.heapLock())
	at, err := n.heap().Alloc(size)
	n.release(n.heapLock())
	if err != nil {
		return Ref[T]{}, err
	}
	return Ref[T]{uint64(at), uint64(count)}, nil
}

// Free gives memory back. Whoever does could write it: no one else may be about to.
func Free[T any](n *Node, r Ref[T]) error {
	n.acquire(n.heapLock())
	err := n.heap().Free(int(r.At))
	n.release(n.heapLock())
	return err
}

// In is the memory of a Ref at a node.
func (r Ref[T]) In(n *Node) []T {
	size := uint64(reflect.TypeFor[T]().Size())
	if r.Count == 0 || r.At > uint64(n.top) || r.Count > (uint64(n.top)-r.At)/size {
		fail("reference", fmt.Errorf("%d elements of %d bytes at %d: not in the heap of %d bytes", r.Count, size, r.At, n.top))
	}
	return view[T](n, int(r.At), int(r.Count))
}

func (n *Node) heap() heap.Heap { return heap.Heap{Mem: n.region[:n.top], PageSize: n.pageSize} }

// Place gives a shared slice's pages a home, where they have none: else that is
// who touches them first. A page that has more than the slice goes along.
func Place[T any](n *Node, s []T, node int) {
	if node < 0 || node >= n.nodes {
		fail("place", fmt.Errorf("node %d of %d", node, n.nodes))
	}
	first, pages := pagesOf(n, s)
	n.do(uapi.DsmPlace, first, pages, uint64(node))
}

// Prefetch fetches a shared slice's pages before they are used, for writing or
// for reading, without a fault for each access.
func Prefetch[T any](n *Node, s []T, write bool) {
	first, pages := pagesOf(n, s)
	var w uint64
	if write {
		w = 1
	}
	n.do(uapi.DsmPrefetch, first, pages, w)
}

// pagesOf are the pages that a shared slice lies in.
func pagesOf[T any](n *Node, s []T) (first, pages uint64) {
	at, size := offset(n, s)
	first = uint64(at / n.pageSize)
	return first, uint64((at+size-1)/n.pageSize) - first + 1
}
