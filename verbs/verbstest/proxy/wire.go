// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/gob"
	"errors"
	"net/netip"
	"reflect"

	"lazystate/verbs/driver"
)

// request is a call; Cancel ends the context of the call with its ID instead.
type request struct {
	ID     uint64
	Method string
	Args   []any // without the context
	Cancel bool
}

// reply is what it returned; files came before it on the other socket.
type reply struct {
	ID      uint64
	Results []any // without the error
	Err     *failure
}

// failure is an error whose sort survives the way.
type failure struct {
	Text   string
	Sort   int // index of sorts + 1
	Reject *driver.RejectError
}

var sorts = []error{
	driver.ErrNotSupported, driver.ErrInvalid, driver.ErrQueueFull, driver.ErrClosed, driver.ErrUnreachable,
	context.DeadlineExceeded, context.Canceled,
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error()}
	errors.As(err, &f.Reject)
	for i, s := range sorts {
		if errors.Is(err, s) {
			f.Sort = i + 1
		}
	}
	return f
}

// Error returns what the other process said.
func (f *failure) Error() string { return f.Text }

// Unwrap returns the sentinel or the rejection that it was.
func (f *failure) Unwrap() error {
	switch {
	case f.Reject != nil:
		return f.Reject
	case f.Sort > 0 && f.Sort <= len(sorts):
		return sorts[f.Sort-1]
	}
	return nil
}

// segment is a part of memory that Alloc made over there.
type segment struct {
	ID       uint32
	Off, Len int
}

// file is a descriptor, passed beside the reply.
type file int

// call describes a connection of the connection manager.
type call struct {
	ID            uint32
	Local, Remote netip.AddrPort
	Request       driver.ConnParam
}

var contextType, errorType, fileType = reflect.TypeFor[context.Context](), reflect.TypeFor[error](), reflect.TypeFor[file]()

// init registers what the calls' interfaces carry: gob wants every type by name.
func init() {
	host := reflect.TypeFor[*host]()
	for i := range host.NumMethod() {
		f := host.Method(i).Func.Type()
		for j := 1; j < f.NumIn(); j++ {
			register(f.In(j))
		}
		for j := range f.NumOut() {
			register(f.Out(j))
		}
	}
}

func register(t reflect.Type) {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Chan {
		return // contexts, errors: not sent; devices: not called from afar
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem() // travels as the value
	}
	gob.Register(reflect.Zero(t).Interface())
}
