// SPDX-License-Identifier: Apache-2.0

package verbs

import "testing"

// Of two events that were handed on as one piece of news, neither is kept from the
// second of two who wait.
func TestNextLeavesNewsOfTheRest(t *testing.T) {
	ch := &CompChannel{reader: make(chan struct{}, 1), news: make(chan struct{}, 1), ready: []*CQ{{}, {}}}
	for range 2 {
		if _, err := ch.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, news := len(ch.ready), len(ch.news); left != news {
			t.Fatalf("%d events are left, %d pieces of news", left, news)
		}
		if len(ch.news) > 0 {
			<-ch.news
		}
	}
}
