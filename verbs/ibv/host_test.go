// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"errors"
	"syscall"
	"testing"

	"lazystate/verbs/driver"
)

func TestErrno(t *testing.T) {
	for _, c := range []struct {
		ret   int
		errno error
		want  string
	}{
		{0, syscall.EINVAL, ""}, // errno is left over from before
		{22, nil, "f: invalid argument"},
		{-12, nil, "f: cannot allocate memory"}, // SoftRoCE's provider
		{-1, syscall.ENOENT, "f: no such file or directory"},
		{-1, nil, "f: input/output error"},
	} {
		err := check("f", c.ret, c.errno)
		if got := text(err); got != c.want {
			t.Errorf("returned %d: %q, not %q", c.ret, got, c.want)
		}
	}
	for _, c := range []struct {
		err  Error
		is   error
		want bool
	}{
		{Error{"ibv_post_send", syscall.ENOMEM}, driver.ErrQueueFull, true},
		{Error{"ibv_reg_mr_iova", syscall.ENOMEM}, driver.ErrQueueFull, false},
		{Error{"ibv_get_device_list", syscall.ENOSYS}, driver.ErrNotSupported, true},
		{Error{"ibv_create_qp", syscall.EINVAL}, driver.ErrInvalid, true},
		{Error{"rdma_resolve_addr", syscall.ETIMEDOUT}, driver.ErrUnreachable, true},
		{Error{"rdma_resolve_addr", syscall.EIO}, driver.ErrUnreachable, false},
		{Error{"rdma_resolve_addr", syscall.EIO}, syscall.EIO, true},
	} {
		if errors.Is(&c.err, c.is) != c.want {
			t.Errorf("%v is %v: not %v", &c.err, c.is, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A slot that is used again has another handle.
func TestTable(t *testing.T) {
	var tab table[string]
	a, err := tab.add("f", "a")
	must(t, err)
	b, err := tab.add("f", "b")
	must(t, err)
	tab.drop(a)
	if _, err := tab.get("f", a); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("dropped: %v", err)
	}
	c, err := tab.add("f", "c")
	must(t, err)
	if c == a || c&indexMask != a&indexMask {
		t.Errorf("handles %x and %x of one slot", a, c)
	}
	for h, want := range map[uint32]string{b: "b", c: "c"} {
		if got, err := tab.get("f", h); got != want || err != nil {
			t.Errorf("%x is %q, %v", h, got, err)
		}
	}
	if _, err := tab.get("f", 0); err == nil {
		t.Error("0 is a handle")
	}
	if r, err := tab.reserve("f"); err != nil {
		t.Error(err)
	} else if _, err := tab.get("f", r); err == nil {
		t.Error("a reserved handle has an object")
	}
}
