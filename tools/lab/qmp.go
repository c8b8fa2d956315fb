// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// QMPError is QEMU's refusal of a command.
type QMPError struct {
	Command string
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

func (e *QMPError) Error() string { return fmt.Sprintf("qmp %s: %s", e.Command, e.Desc) }

type qmpMessage struct {
	Return json.RawMessage `json:"return"`
	Error  *QMPError       `json:"error"`
	Event  string          `json:"event"`
	QMP    json.RawMessage `json:"QMP"`
}

// qmp runs one command on a connection of its own: QEMU serves one client at a
// time, so short connections let several processes take turns.
func qmp(ctx context.Context, socket, command string, args any) (json.RawMessage, error) {
	conn, err := dialRetry(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting qmpMessage
	err = dec.Decode(&greeting)
	for _, c := range []struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{{"qmp_capabilities", nil}, {command, args}} {
		if err == nil {
			err = enc.Encode(c)
		}
		if err != nil {
			break
		}
		var ret json.RawMessage
		if ret, err = qmpReply(dec, command); err == nil && c.Execute == command {
			return ret, nil
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var refused *QMPError
	if errors.As(err, &refused) {
		return nil, err
	}
	return nil, fmt.Errorf("qmp %s: %w", command, err)
}

// qmpReply skips events, which any command may cause.
func qmpReply(dec *json.Decoder, command string) (json.RawMessage, error) {
	for {
		var m qmpMessage
		if err := dec.Decode(&m); err != nil {
			return nil, err
		}
		if m.Error != nil {
			m.Error.Command = command
			return nil, m.Error
		}
		if m.Return != nil {
			return m.Return, nil
		}
	}
}

// dialRetry dials a unix socket until it answers or ctx ends: the other side
// may not listen yet, or its short backlog may be full.
func dialRetry(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
