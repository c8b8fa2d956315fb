// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// progress is what the test's server exports of a session.
type progress struct {
	Method string
	Total  int64
	Done   int64
	Hash   []byte // of an upload so far
}

// web serves GET /N, N bytes of a pattern, and PUT /, whose hash it answers. A
// server that is slow sends 1 KB at a time, and ever more slowly after 32 KB of a
// session (§2.7.2).
func web(servers, listen string, slow time.Duration) error {
	client, err := keeper.Dial(servers, "web")
	if err != nil {
		return err
	}
	l, err := client.Listen(context.Background(), "tcp", listen, cbox.Config{})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "serving")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := serve(c.(*cbox.Conn), slow); err != nil {
				fmt.Fprintln(os.Stderr, "session:", err)
			}
		}()
	}
}

func serve(c *cbox.Conn, slow time.Duration) error {
	err := serveOne(c, slow)
	switch {
	case err == nil:
		fmt.Fprintln(os.Stderr, "served")
	case errors.Is(err, cbox.ErrMigrated), errors.Is(err, net.ErrClosed):
		return nil
	case err == io.EOF || errors.Is(err, syscall.ECONNRESET):
		err = nil
	}
	return errors.Join(err, c.Close())
}

func serveOne(c *cbox.Conn, slow time.Duration) error {
	var p progress
	sum := sha256.New()
	if b, ok := c.Import(); ok {
		if err := json.Unmarshal(b, &p); err != nil {
			return err
		}
		if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.Hash); err != nil {
			return err
		}
	} else if err := begin(c, &p, sum); err != nil {
		return err
	}
	if p.Method == "GET" {
		return download(c, &p, sum, slow)
	}
	return upload(c, &p, sum)
}

func export(c *cbox.Conn, p *progress, sum hash.Hash) (err error) {
	if p.Hash, err = sum.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return c.Export(b)
}

// begin reads a request's head, byte by byte: what is read counts as used.
func begin(c *cbox.Conn, p *progress, sum hash.Hash) error {
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
	}
	lines := strings.Split(string(head), "\r\n")
	fields := strings.Fields(lines[0])
	p.Method = fields[0]
	n := strings.TrimPrefix(fields[1], "/")
	for _, l := range lines[1:] {
		if k, v, _ := strings.Cut(l, ": "); strings.EqualFold(k, "Content-Length") {
			n = v
		}
	}
	var err error
	if p.Total, err = strconv.ParseInt(n, 10, 64); err != nil {
		return err
	}
	if p.Method == "GET" {
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", p.Total); err != nil {
			return err
		}
	}
	return export(c, p, sum)
}

// pattern fills b with what lies at an offset of every download.
func pattern(b []byte, off int64) {
	for i := range b {
		n := uint64(off + int64(i))
		b[i] = byte(n*0x9e3779b97f4a7c15>>56 ^ n>>13)
	}
}

func download(c *cbox.Conn, p *progress, sum hash.Hash, slow time.Duration) error {
	b := make([]byte, 1<<16)
	if slow > 0 {
		b = b[:1<<10]
	}
	for sent := 1; p.Done < p.Total; sent++ {
		time.Sleep(slow)
		if sent > 32 {
			slow += slow / 10
		}
		n := min(int64(len(b)), p.Total-p.Done)
		pattern(b[:n], p.Done)
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		p.Done += n
		if err := export(c, p, sum); err != nil {
			return err
		}
	}
	return nil
}

func upload(c *cbox.Conn, p *progress, sum hash.Hash) error {
	b := make([]byte, 1<<13)
	for p.Done < p.Total {
		n, err := c.Read(b[:min(int64(len(b)), p.Total-p.Done)])
		sum.Write(b[:n])
		p.Done += int64(n)
		if err != nil {
			return err
		}
		if err := export(c, p, sum); err != nil {
			return err
		}
	}
	body := hex.EncodeToString(sum.Sum(nil))
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	return err
}

// patternSum is the hash of a whole download.
func patternSum(total int64) string {
	sum, b := sha256.New(), make([]byte, 1<<16)
	for off := int64(0); off < total; off += int64(len(b)) {
		n := min(int64(len(b)), total-off)
		pattern(b[:n], off)
		sum.Write(b[:n])
	}
	return hex.EncodeToString(sum.Sum(nil))
}
