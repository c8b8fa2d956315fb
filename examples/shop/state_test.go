// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// A snapshot comes from another process: nothing in it may do harm.
func FuzzDecodeState(f *testing.F) {
	for _, s := range []string{`{"seq":1,"order":"item=pen","txn":{"xid":7,"home":"1/00000001"}}`, `{"seq":2,"reply":"unavailable"}`, `{"seq":2,"reply":"x","txn":{"xid":1}}`, `{}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		if s.Seq == 0 || (s.Txn.XID == 0) == (s.Reply == "") {
			t.Errorf("%+v", s)
		}
		again, err := s.encode()
		if back, e := decode(again); err != nil || e != nil || back != s {
			t.Errorf("%+v becomes %+v, %v, %v", s, back, err, e)
		}
	})
}
