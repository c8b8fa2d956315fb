// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// A snapshot comes from another process, perhaps out of a dead machine's memory:
// nothing in it may do harm.
func FuzzDecodeState(f *testing.F) {
	session := strings.Repeat("ab", 16)
	for _, s := range []string{
		`{"records":[{"request":{"session":"` + session + `","begins":7,"kind":"bid"},"try":1,"txn":{"xid":7,"home":"1/00000001"},"reply":{"result":1}}]}`,
		`{"records":[{"request":{"session":"` + session + `","kind":"list"},"try":2,"reply":{"refused":"no"}}],"of":"mt1"}`,
		`{"records":[{"request":{"session":"` + session + `","kind":"list"},"try":1,"txn":{"xid":7},"reply":{"refused":"no"}}]}`, `{}`, `[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		for _, r := range s.Records {
			if len(r.Request.Session) != 32 || !r.Reply.sound() || r.Txn.XID != 0 && tables[r.Request.Kind] == "" {
				t.Errorf("%+v", r)
			}
		}
		again, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(again); err != nil {
			t.Errorf("%s becomes %s: %v", b, again, err)
		}
	})
}
