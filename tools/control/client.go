// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// ErrFalse is an answer of bdmon that says no: nothing failed, the condition
// does not hold.
var ErrFalse = errors.New("condition is false")

// no is bdmon's word for an ErrFalse.
type no string

func (n no) Error() string { return string(n) }

func (n no) Is(target error) bool { return target == ErrFalse }

// Client is a connection to a daemon: bdmon, scd, mtcpd.
type Client struct {
	conn net.Conn
	dec  *json.Decoder
	stop func() bool
}

// Dial connects to a daemon's socket; ctx bounds all that the client does.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return &Client{conn: conn, dec: json.NewDecoder(conn), stop: stop}, nil
}

// Ask calls whom path belongs to once.
func Ask(ctx context.Context, path string, r Request, data any) error {
	c, err := Dial(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(r, data)
}

func (c *Client) Close() error {
	c.stop()
	return c.conn.Close()
}

// Call sends a request and decodes the data of its answer.
func (c *Client) Call(r Request, data any) error {
	if err := c.send(r); err != nil {
		return err
	}
	return c.next(data)
}

// send returns the daemon's own word if it has closed the connection with one.
func (c *Client) send(r Request) error {
	err := json.NewEncoder(c.conn).Encode(r)
	if err == nil {
		return nil
	}
	var last Response
	if c.dec.Decode(&last) == nil && last.Error != "" {
		return errors.New(last.Error)
	}
	return fmt.Errorf("send request: %w", err)
}

// Stream sends a request and calls each with the data of every answer until
// bdmon ends the stream, or each returns an error.
func (c *Client) Stream(r Request, each func(json.RawMessage) error) error {
	if err := c.send(r); err != nil {
		return err
	}
	for {
		var data json.RawMessage
		if err := c.next(&data); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(data); err != nil {
			return err
		}
	}
}

func (c *Client) next(data any) error {
	var r Response
	if err := c.dec.Decode(&r); err != nil {
		return err
	}
	switch {
	case r.False:
		return no(r.Error)
	case r.Error != "":
		return errors.New(r.Error)
	case data == nil || r.Data == nil:
		return nil
	}
	return json.Unmarshal(r.Data, data)
}
