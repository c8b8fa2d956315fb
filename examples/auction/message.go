// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// request is what a front end passes on. Session and Begins name it for good.
type request struct {
	Session  string            `json:"session"`
	Begins   uint64            `json:"begins"`   // in what the session's client sends
	Admitted int64             `json:"admitted"` // when it came, nanoseconds since 1970
	Kind     string            `json:"kind"`
	Args     map[string]string `json:"args,omitempty"`
}

func (q *request) id() string { return q.Session + "." + strconv.FormatUint(q.Begins, 10) }

// message is what a middle tier is sent: a request, or what it is to adopt.
type message struct {
	Request *request  `json:"request,omitempty"`
	Adopt   *adoption `json:"adopt,omitempty"`
}

// adoption is what another middle tier had, that is dead and fenced.
type adoption struct {
	Of      string   `json:"of"`
	Records []record `json:"records"`
}

// answer is what a middle tier says.
type answer struct {
	ID      string `json:"id,omitempty"` // of the request
	Reply   reply  `json:"reply,omitzero"`
	Adopted int    `json:"adopted,omitempty"`
}

// reply is what a client is told: one of these.
type reply struct {
	Result      json.RawMessage `json:"result,omitempty"`
	Refused     string          `json:"refused,omitempty"`     // nothing was done, and would not be now
	Unknown     string          `json:"unknown,omitempty"`     // it may have been done
	Unavailable string          `json:"unavailable,omitempty"` // nothing was done
}

// sound reports a reply that is one of these.
func (r *reply) sound() bool {
	n := 0
	for _, is := range []bool{len(r.Result) > 0, r.Refused != "", r.Unknown != "", r.Unavailable != ""} {
		if is {
			n++
		}
	}
	return n == 1
}

// Bytes of lines.
const (
	mostArgs  = 2 << 10  // of a request's names and values
	mostReply = 12 << 10 // of a result
	mostLine  = 24 << 10 // of any line: as much as a snapshot has room for
)

// send writes a message as a line.
func send(w io.Writer, m any) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) >= mostLine {
		return fmt.Errorf("a line of %d bytes", len(b))
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// receive reads a line into m. The other end says one and waits for an answer: nothing
// is read ahead, so what is read is in the next snapshot (§2.6.4).
func receive(r io.Reader, m any) error {
	b := make([]byte, 0, 1<<10)
	for {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			if i != len(b)-1 {
				return fmt.Errorf("%d bytes behind a line", len(b)-1-i)
			}
			return json.Unmarshal(b[:i], m)
		}
		if err == nil && len(b) > mostLine {
			err = fmt.Errorf("a line of more than %d bytes", mostLine)
		}
		if err != nil {
			return err
		}
	}
}
