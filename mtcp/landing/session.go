// SPDX-License-Identifier: Apache-2.0

package landing

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
)

// Facts is what is known of a session as it was at the other server. What is
// hostile in them was found by who decoded them.
type Facts struct {
	Name          string // of the service: who may go on with it
	Read, Written uint64 // where its application was
	Client        mtcp.Client
	Dump          *tcprepair.Dump
	Image         *cbox.Image
}

// Session is one on its way here. Live, Lose or Drop ends it.
type Session struct {
	Facts
	Conn   mtcp.Connection
	Move   mtcp.Move
	Policy mtcp.Policy // of Plan
	UID    uint32      // of Reserve

	Region   cbox.Region
	Box      *cbox.Box
	Restored *tcprepair.Restored

	room *keeper.Room
}

// Plan decides what of a session moves, and that Restore is possible. The dump
// has the ends that its connection is to have here.
func Plan(f Facts, p mtcp.Policy) (*Session, error) {
	s := &Session{Facts: f, Policy: p}
	conn, up, down, err := mtcp.Place(f.Dump.Endpoint, f.Read, f.Written)
	if err != nil {
		return nil, err
	}
	s.Conn = conn
	if s.Move, err = mtcp.Cut(f.Image.Root(), up, down, f.Client, p); err != nil {
		return nil, err
	}
	_, err = f.Dump.Obey(s.Conn, s.Move)
	return s, err
}

// ID is the session's, wherever it goes.
func (s *Session) ID() cbox.ID { return s.Image.Head.ID() }

// Plant makes the session's box.
func (s *Session) Plant() (err error) {
	if s.Box, err = s.Image.New(s.Dump.Local, s.Dump.Remote); err == nil {
		s.Region = s.Box.Region()
	}
	return err
}

// Fixup takes RCVD_WHILE_MIGRATING into account, before Restore.
func (s *Session) Fixup(delta uint64) error {
	m, err := s.Move.Fixup(delta)
	if err != nil {
		return err
	}
	s.Move = m
	return nil
}

// Restore makes the socket, which neither hears nor says anything yet. known: the
// client has nothing behind where this server begins.
func (s *Session) Restore(stack *tcprepair.Stack, known bool) error {
	return s.restore(known, stack.Restore)
}

// RestoreOn is Restore for a thread of another namespace than that of the socket, which
// another one has made. Who did closes that afterwards: it does nothing to a connection.
func (s *Session) RestoreOn(stack *tcprepair.Stack, socket *tcprepair.Empty, known bool) error {
	return s.restore(known, func(d *tcprepair.Dump) (*tcprepair.Restored, error) { return stack.RestoreOn(socket, d) })
}

func (s *Session) restore(known bool, of func(*tcprepair.Dump) (*tcprepair.Restored, error)) error {
	d, err := s.Dump.Obey(s.Conn, s.Move)
	if err != nil {
		return err
	}
	if known {
		d.Resend()
	}
	s.Restored, err = of(d)
	return err
}

// Reserve makes room for the session, which is to be for a process of uid: once
// the other server has let go of it, it is too late for a limit.
func (s *Session) Reserve(k *keeper.Keeper, uid uint32) (err error) {
	s.UID = uid
	s.room, err = k.Reserve(uid, s.Name, s.Region)
	return err
}

// Live lets the session go on here, where there is room for it. A connection that
// has ended is no error. at is told of the steps; handed is called when a process
// has the session, or nobody any more. Either may be nil.
func (s *Session) Live(at func(string), handed func()) error {
	defer s.room.Free()
	if at == nil {
		at = func(string) {}
	}
	// Until a keeper has it, it ends by a reset: a FIN would say that this was all.
	if err := unix.SetsockoptLinger(s.Restored.FD(), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := s.Restored.Live(); err != nil {
		return err
	}
	at("alive")
	conn, err := s.take()
	if err != nil {
		return err
	}
	box := s.Box
	s.Box = nil
	if err = box.Bind(conn, s.Image.LogTo, s.Move.Send.To); err == nil {
		box.Number(s.Conn)
		box.Thaw()
		at("thawed")
		err = conn.SetLingers(s.Dump.Options.Linger)
	}
	if err == nil {
		err = s.room.Adopt(box, conn, handed)
	}
	if err == nil {
		at("adopted")
		return nil
	}
	if handed != nil {
		handed()
	}
	box.Close()
	err = errors.Join(err, conn.SetLingers(0), conn.Close(), s.Region.File.Close())
	if over := (*mtcp.StateError)(nil); errors.As(err, &over) {
		return nil
	}
	return fmt.Errorf("go on with session %s: %w", s.ID(), err)
}

// take has the socket out of the hands of who made it.
func (s *Session) take() (*keeper.Conn, error) {
	fd, err := s.Restored.Take()
	if err != nil {
		return nil, err
	}
	return keeper.KnownConn(fd, s.Dump.Local, s.Dump.Remote), nil
}

// Lose is Drop of what lives nowhere else: its client is told so.
func (s *Session) Lose() error {
	var err error
	if s.Restored != nil {
		err = s.Restored.Reset()
	}
	return errors.Join(err, s.Drop())
}

// Drop undoes everything, in silence.
func (s *Session) Drop() error {
	if s.Restored != nil {
		s.Restored.Abandon()
	}
	if s.room != nil {
		s.room.Free()
	}
	if s.Box == nil {
		return nil
	}
	s.Box.Close()
	s.Box = nil
	return s.Region.File.Close()
}
