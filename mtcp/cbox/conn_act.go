// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// act does something to the socket and records it, unless a process before this
// one has: then it is swallowed (§2.5.3). Dying between the two does no harm,
// because each of these can be done twice.
func (r *rootState) act(x mtcp.Action, do func(fd int) error) error {
	return r.s.do(func() error {
		x.Pos = r.down.Pos
		again, err := r.actions.Repeats(x)
		if err != nil {
			return err
		}
		if !again {
			if err := r.canEnd(x); err != nil {
				return err
			}
			if r.actions.Full() {
				return &LogFullError{"actions", uint64(r.actions.Next)}
			}
			if err := control(r.tcp, do); err != nil {
				return err
			}
			r.record(x)
		}
		r.actions.Done(x)
		r.ended = r.ended || x.Kind == mtcp.ShutWrite || x.Kind == mtcp.CloseBoth
		return nil
	})
}

// canEnd: a replay that ends the stream before it has repeated all of it has
// gone another way.
func (r *rootState) canEnd(x mtcp.Action) error {
	if !mtcp.EndsWriting([]mtcp.Action{x}) || r.down.Pos >= r.down.Head {
		return nil
	}
	return &mtcp.DivergedError{Stream: true, Where: r.down.Pos, Was: fmt.Sprintf("output up to %d", r.down.Head), Is: x.Kind.String()}
}

func (r *rootState) record(x mtcp.Action) {
	n := r.actions.Next
	putAct(r.s.m, &r.s.head.CboxHead, n, x)
	r.s.m.word32(uapi.CboxHeadActionsOff).Store(n + 1)
	if x.Kind != mtcp.SetOption {
		return
	}
	i := slices.IndexFunc(r.options, func(o mtcp.Option) bool { return o.Level == x.Option.Level && o.Name == x.Option.Name })
	if i < 0 {
		i = len(r.options)
		r.options = append(r.options, x.Option)
	}
	r.options[i] = x.Option
	putOpt(r.s.m, &r.s.head.CboxHead, i, x.Option)
}

// CloseWrite closes the sending half once all output is out.
func (r *rootState) CloseWrite() error {
	return r.act(mtcp.Action{Kind: mtcp.ShutWrite}, r.endOutput)
}

// CloseRead closes the receiving half.
func (r *rootState) CloseRead() error {
	return r.act(mtcp.Action{Kind: mtcp.ShutRead}, func(fd int) error { return shutdown(fd, unix.SHUT_RD) })
}

// endOutput sends the FIN, or puts it behind output that is still here.
func (r *rootState) endOutput(fd int) error {
	if r.s.ndi {
		r.shutHeld = true
		return nil
	}
	r.shutDue = true
	wait, err := r.send(fd)
	if wait {
		go r.flush()
	}
	return err
}

// SetOption sets a socket option, of at most uapi.CboxOptLen bytes, that moves
// along with the session.
func (r *rootState) SetOption(level, name int, value []byte) error {
	if len(value) > uapi.CboxOptLen {
		return &SizeError{"socket option", uint64(len(value)), uapi.CboxOptLen}
	}
	o := mtcp.Option{Level: int32(level), Name: int32(name), Value: string(value)}
	return r.act(mtcp.Action{Kind: mtcp.SetOption, Option: o}, func(fd int) error {
		known := slices.ContainsFunc(r.options, func(p mtcp.Option) bool { return p.Level == o.Level && p.Name == o.Name })
		if most := int(r.s.head.Opts.Count); !known && len(r.options) == most {
			return &SizeError{"socket options", uint64(most) + 1, uint64(most)}
		}
		return setsockopt(fd, o)
	})
}

func (r *rootState) setInt(level, name, v int) error {
	return r.SetOption(level, name, binary.NativeEndian.AppendUint32(nil, uint32(v)))
}

// SetNoDelay is that of net.TCPConn.
func (r *rootState) SetNoDelay(on bool) error {
	return r.setInt(unix.IPPROTO_TCP, unix.TCP_NODELAY, bit(on))
}

// SetKeepAlive is that of net.TCPConn.
func (r *rootState) SetKeepAlive(on bool) error {
	return r.setInt(unix.SOL_SOCKET, unix.SO_KEEPALIVE, bit(on))
}

// SetLinger is that of net.TCPConn.
func (r *rootState) SetLinger(sec int) error {
	v := binary.NativeEndian.AppendUint32(nil, uint32(bit(sec >= 0)))
	return r.SetOption(unix.SOL_SOCKET, unix.SO_LINGER, binary.NativeEndian.AppendUint32(v, uint32(max(0, sec))))
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

func setsockopt(fd int, o mtcp.Option) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptString(fd, int(o.Level), int(o.Name), o.Value))
}

// shutdown may come late, or twice.
func shutdown(fd, how int) error {
	if err := unix.Shutdown(fd, how); err != nil && err != unix.ENOTCONN {
		return os.NewSyscallError("shutdown", err)
	}
	return nil
}

// Close ends the session, which counts as an export: what was held goes out,
// and nobody resumes it. After a move it only lets go of what is here.
func (c *Conn) Close() error {
	r := c.rootState
	err := r.act(mtcp.Action{Kind: mtcp.CloseBoth}, func(int) error { return nil })
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if err == nil || errors.Is(err, ErrLogFull) {
		err = c.Session.finish()
	}
	if errors.Is(err, ErrMigrated) {
		c.letGo()
		return nil
	}
	if diverged := (*mtcp.DivergedError)(nil); errors.As(err, &diverged) {
		_ = c.tcp.SetLinger(0) // a FIN would say that this was all
	}
	var wait bool
	if err == nil {
		err = c.do(func() error {
			r.shutDue = true
			return control(r.tcp, func(fd int) (err error) { wait, err = r.send(fd); return })
		})
	}
	if wait {
		go func() {
			_ = r.flush()
			c.end()
		}()
		return nil
	}
	c.end()
	return err
}

// end is the last word of a session that is over.
func (c *Conn) end() {
	err := c.do(func() error {
		c.words.state.Store(uapi.CboxClosed)
		c.m.wake(uapi.CboxHeadStateOff)
		return nil
	})
	c.letGo()
	if c.cfg.Keeper != nil && !errors.Is(err, ErrMigrated) {
		c.cfg.Keeper.Done(c.ID(), c.Generation())
	}
}

// Abandon lets go of a session without a word, as a process that dies: whoever
// holds its box and its connection goes on with it; a keeper once this process
// has ended.
func (c *Conn) Abandon() { c.letGo() }

func (c *Conn) letGo() {
	_ = c.tcp.Close()
	c.mu.Lock()
	gone := c.closed
	if !gone {
		c.Session.release()
	}
	c.mu.Unlock()
	if !gone {
		c.cfg.Quota.give(c.region.Length)
		c.region.File.Close()
	}
}
