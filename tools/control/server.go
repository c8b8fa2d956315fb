// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Handler answers requests. It sends any number of answers; the error it
// returns, if any, is the last.
type Handler func(ctx context.Context, who Peer, r Request, send func(data any) error) error

// Listen makes bdmon's socket: mode 0660, of the given group (-1: as it comes).
// A socket that nobody answers is a leftover and is replaced; no other file is:
// connecting to one is refused in just the same way.
func Listen(path string, gid int) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another bdmon answers there", path)
	} else if st, gone := os.Lstat(path); gone == nil && st.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("%s: is there and is no socket (%s)", path, st.Mode())
	} else if errors.Is(err, unix.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// Nobody may connect in the moment before chmod.
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if gid >= 0 {
		err = os.Chown(path, -1, gid)
	}
	if err = errors.Join(err, os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Bounds of a line and of peers at once, and the pause after an Accept that failed.
const (
	longestRequest = 64 << 10
	mostPeers      = 64
	acceptPause    = 100 * time.Millisecond
)

// patience is what a peer gets to say its first request, and to take each
// answer. A silent one would keep a place from others, one that does not read
// would keep the handler, and with it what the handler holds.
var patience = 10 * time.Second

// answers bounds each write of an answer.
type answers struct{ c *net.UnixConn }

func (a answers) Write(b []byte) (int, error) {
	if err := a.c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return a.c.Write(b)
}

// Serve answers until ctx ends, then closes the listener and every connection.
func Serve(ctx context.Context, l *net.UnixListener, allow func(Peer) bool, h Handler) {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	places := make(chan struct{}, mostPeers)
	for {
		places <- struct{}{}
		c, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// No file descriptor is left (EMFILE), or the peer has gone: not at once again.
			<-places
			time.Sleep(acceptPause)
			continue
		}
		wg.Go(func() {
			defer func() { <-places }()
			serveConn(ctx, c, allow, h)
		})
	}
}

func serveConn(ctx context.Context, c *net.UnixConn, allow func(Peer) bool, h Handler) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	enc := json.NewEncoder(answers{c})
	who, err := peerOf(c)
	if err != nil || !allow(who) {
		_ = enc.Encode(Response{Error: fmt.Sprintf("permission denied for %v", who)})
		return
	}
	// One reader: a peer that goes away ends what is being done for it.
	lines := make(chan []byte)
	go func() {
		defer cancel()
		in := bufio.NewScanner(c)
		in.Buffer(nil, longestRequest)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		for in.Scan() {
			_ = c.SetReadDeadline(time.Time{}) // it may stay, now that it has spoken
			select {
			case lines <- append([]byte(nil), in.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case line := <-lines:
			if answer(ctx, enc, who, line, h) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func answer(ctx context.Context, enc *json.Encoder, who Peer, line []byte, h Handler) error {
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		return enc.Encode(Response{Error: "request: " + err.Error()})
	}
	sent := false
	err := h(ctx, who, r, func(data any) error {
		raw, err := json.Marshal(data)
		if err != nil {
			return err
		}
		sent = true
		return enc.Encode(Response{Data: raw})
	})
	switch {
	case err != nil:
		return enc.Encode(Response{Error: err.Error(), False: errors.Is(err, ErrFalse)})
	case !sent:
		return enc.Encode(Response{})
	}
	return nil
}
