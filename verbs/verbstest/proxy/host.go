// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs"
	"lazystate/verbs/driver"
)

const (
	urlVar  = "VERBSTEST_PROXY"
	farVar  = "VERBSTEST_PROXY_FAR" // set: the caller is on another machine
	callsFD = 3                     // in the process: requests and replies
	filesFD = 4                     // descriptors
)

// ServeIfAsked serves a device and ends the process if Start has started it.
func ServeIfAsked() {
	url := os.Getenv(urlVar)
	if url == "" {
		return
	}
	if err := serve(url); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", url, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(url string) error {
	d, err := verbs.Open(context.Background(), url)
	if err != nil {
		return err
	}
	h := &host{
		Device: d.Driver(), memory: map[uint32]driver.Memory{}, conns: map[uint32]driver.Conn{}, listeners: map[uint32]driver.Listener{},
		channels: map[driver.Channel]int{},
	}
	s := &server{host: h, cancels: map[uint64]context.CancelFunc{}}
	if os.Getenv(farVar) != "" {
		return s.serve(os.Stdout, os.Stdin)
	}
	sock, err := net.FileConn(os.NewFile(callsFD, "calls"))
	if err != nil {
		return err
	}
	files, err := net.FileConn(os.NewFile(filesFD, "files"))
	if err != nil {
		return err
	}
	s.files = files.(*net.UnixConn)
	return s.serve(sock, sock)
}

func (s *server) serve(to io.Writer, from io.Reader) error {
	s.enc = gob.NewEncoder(to)
	for dec := gob.NewDecoder(from); ; {
		var r request
		if err := dec.Decode(&r); err != nil {
			return nil // the other process has ended
		}
		s.take(&r)
	}
}

// server executes requests, each in a goroutine of its own.
type server struct {
	host  *host
	files *net.UnixConn

	mu      sync.Mutex // of what is sent, and of cancels
	enc     *gob.Encoder
	cancels map[uint64]context.CancelFunc
}

func (s *server) take(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Cancel {
		if cancel := s.cancels[r.ID]; cancel != nil {
			cancel()
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancels[r.ID] = cancel
	go s.execute(ctx, r)
}

func (s *server) execute(ctx context.Context, r *request) {
	method := reflect.ValueOf(s.host).MethodByName(r.Method)
	var in []reflect.Value
	args := r.Args
	for i := range method.Type().NumIn() {
		if method.Type().In(i) == contextType {
			in = append(in, reflect.ValueOf(ctx))
			continue
		}
		v := reflect.ValueOf(args[0])
		if t := method.Type().In(i); t.Kind() == reflect.Pointer {
			p := reflect.New(t.Elem())
			p.Elem().Set(v)
			v = p
		}
		in = append(in, v)
		args = args[1:]
	}
	s.answer(r, method.Call(in))
}

func (s *server) answer(r *request, out []reflect.Value) {
	p := &reply{ID: r.ID}
	fd := -1
	for _, v := range out {
		switch v.Type() {
		case errorType:
			if err, _ := v.Interface().(error); err != nil {
				p.Err = failureOf(err)
			}
		case fileType:
			fd = int(v.Int())
		default:
			p.Results = append(p.Results, v.Interface())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels[r.ID]()
	delete(s.cancels, r.ID)
	if fd >= 0 && p.Err == nil {
		if _, _, err := s.files.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil); err != nil {
			p.Err = failureOf(err)
		}
	}
	if err := s.enc.Encode(p); err != nil {
		fmt.Fprintf(os.Stderr, "reply to %s: %v\n", r.Method, err)
		os.Exit(1)
	}
}

// host is the device with methods whose arguments can travel.
type host struct {
	driver.Device

	mu        sync.Mutex
	last      uint32
	memory    map[uint32]driver.Memory
	listeners map[uint32]driver.Listener
	conns     map[uint32]driver.Conn
	channels  map[driver.Channel]int // their descriptors, of a caller on another machine
}

// put gives v a number.
func put[T any](h *host, m map[uint32]T, v T) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	m[h.last] = v
	return h.last
}

func get[T any](h *host, m map[uint32]T, id uint32) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return m[id]
}

// AllocFile is Alloc; its file goes along.
func (h *host) AllocFile(bytes int) (uint32, file, error) {
	m, err := h.Device.Alloc(bytes)
	if err != nil {
		return 0, -1, err
	}
	if m.FD < 0 || m.Offset != 0 {
		h.Device.Free(m)
		return 0, -1, fmt.Errorf("memory without a file, over a proxy: %w", driver.ErrNotSupported)
	}
	return put(h, h.memory, m), file(m.FD), nil
}

// FreeFile is Free.
func (h *host) FreeFile(id uint32) error { return h.Device.Free(get(h, h.memory, id)) }

// RegFile is RegMR.
func (h *host) RegFile(pd driver.PD, s segment, iova uint64, a driver.Access) (driver.MRInfo, error) {
	m := get(h, h.memory, s.ID)
	m.Bytes, m.Offset = m.Bytes[s.Off:s.Off+s.Len], int64(s.Off)
	return h.Device.RegMR(pd, m, iova, a)
}

// MakeChannel is CreateChannel; its descriptor goes along.
func (h *host) MakeChannel() (driver.Channel, file, error) {
	ch, fd, err := h.Device.CreateChannel()
	return ch, file(fd), err
}

// Take is PollCQ of up to n.
func (h *host) Take(cq driver.CQ, n int) ([]driver.WC, error) {
	wc := make([]driver.WC, n)
	n, err := h.Device.PollCQ(cq, wc)
	return wc[:n], err
}

// Await is WaitCQ.
func (h *host) Await(ctx context.Context, cq driver.CQ, n int) ([]driver.WC, error) {
	w, ok := h.Device.(driver.Waiter)
	if !ok {
		return nil, driver.ErrNotSupported
	}
	wc := make([]driver.WC, n)
	n, err := w.WaitCQ(ctx, cq, wc)
	return wc[:n], err
}

// Waits reports whether Await works.
func (h *host) Waits() bool {
	_, ok := h.Device.(driver.Waiter)
	return ok
}

// Listen is that of the connection manager.
func (h *host) Listen(local netip.AddrPort, backlog int) (uint32, netip.AddrPort, error) {
	cm, err := h.Device.CM()
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	l, err := cm.Listen(local, backlog)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return put(h, h.listeners, l), l.Addr(), nil
}

// Accept is that of a listener.
func (h *host) Accept(ctx context.Context, id uint32) (call, error) {
	c, err := get(h, h.listeners, id).Accept(ctx)
	return h.call(c, err)
}

// CloseListener is that of a listener.
func (h *host) CloseListener(id uint32) error { return get(h, h.listeners, id).Close() }

// Resolve is that of the connection manager.
func (h *host) Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) (call, error) {
	cm, err := h.Device.CM()
	if err != nil {
		return call{}, err
	}
	return h.call(cm.Resolve(ctx, local, remote))
}

func (h *host) call(c driver.Conn, err error) (call, error) {
	if err != nil {
		return call{}, err
	}
	return call{put(h, h.conns, c), c.Local(), c.Remote(), c.Request()}, nil
}

// Dial is Connect of a connection, Answer its Accept.
func (h *host) Dial(ctx context.Context, id uint32, qp driver.QP, p driver.ConnParam) (driver.ConnParam, error) {
	return get(h, h.conns, id).Connect(ctx, qp, p)
}

func (h *host) Answer(ctx context.Context, id uint32, qp driver.QP, p driver.ConnParam) error {
	return get(h, h.conns, id).Accept(ctx, qp, p)
}

// Reject, Disconnect and HangUp are of a connection.
func (h *host) Reject(id uint32, private []byte) error { return get(h, h.conns, id).Reject(private) }
func (h *host) Disconnect(ctx context.Context, id uint32) error {
	return get(h, h.conns, id).Disconnect(ctx)
}
func (h *host) HangUp(id uint32) error { return get(h, h.conns, id).Close() }

// Ended waits until the connection is done.
func (h *host) Ended(ctx context.Context, id uint32) error {
	select {
	case <-get(h, h.conns, id).Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
