// SPDX-License-Identifier: Apache-2.0

package perftest

import (
	"bytes"
	"fmt"
	"strconv"

	"lazystate/verbs"
)

// recordLen is KEY_MSG_SIZE_GID of perftest.
const recordLen = 108

// record is struct pingpong_dest as it travels.
type record struct {
	lid, reads uint32
	qpn, psn   uint32
	rkey       uint32
	addr       uint64
	gid        verbs.GID
	srqn       uint32
}

const recordHead = "%04x:%04x:%06x:%06x:%08x:%016x:"

// bytes formats the record, with the zero byte that ends a string of C.
func (r *record) bytes() []byte {
	b := fmt.Appendf(nil, recordHead, r.lid, r.reads, r.qpn, r.psn, r.rkey, r.addr)
	for _, g := range r.gid {
		b = fmt.Appendf(b, "%02x:", g)
	}
	return append(fmt.Appendf(b, "%08x:", r.srqn), 0)
}

// beginsRecord tells a record from a number of the client's report, whose bytes
// may be anything, by the text a record begins with.
func beginsRecord(b []byte) bool {
	if len(b) < 5 || b[4] != ':' {
		return false
	}
	_, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return err == nil
}

// parseRecord reads what bytes wrote, or what perftest did.
func parseRecord(b []byte) (record, error) {
	var r record
	text, _, _ := bytes.Cut(b, []byte{0})
	fields := bytes.Split(text, []byte{':'})
	if len(b) != recordLen || len(fields) != 24 {
		return r, fmt.Errorf("record %q: %d fields in %d bytes", b, len(fields), len(b))
	}
	into := []any{&r.lid, &r.reads, &r.qpn, &r.psn, &r.rkey, &r.addr}
	for i := range r.gid {
		into = append(into, &r.gid[i])
	}
	into = append(into, &r.srqn)
	for i, v := range into {
		if n, err := fmt.Sscanf(string(fields[i]), "%x", v); n != 1 || err != nil {
			return r, fmt.Errorf("record %q: field %d is no number", text, i)
		}
	}
	if r.qpn>>24 != 0 || r.psn>>24 != 0 {
		return r, fmt.Errorf("record %q: queue pair and packet numbers have 24 bits", text)
	}
	return r, nil
}
