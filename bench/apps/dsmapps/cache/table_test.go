// SPDX-License-Identifier: Apache-2.0

package cache

import "testing"

// A value that was evicted is as it was when it comes back; the one that was not
// used for longest goes.
func TestTable(t *testing.T) {
	tb := &table{buckets: make([]bucket, 2), records: make([]value, 20)}
	for key := range 20 {
		v, hit := tb.get(key)
		if hit {
			t.Errorf("key %d was there", key)
		}
		v.add(key, int64(key+1))
	}
	if _, hit := tb.get(12); !hit { // the oldest of its bucket's four: 12, 14, 16, 18
		t.Error("key 12 went")
	}
	tb.get(0)
	if tb.find(14) != nil || tb.find(12) == nil {
		t.Error("key 14 was used before key 12")
	}
	for key := range 20 {
		v := tb.now(key)
		if err := v.check(key); err != nil || v[key] != int64(key+1) {
			t.Errorf("key %d is %v: %v", key, v, err)
		}
	}
	tb.records[14][3]++
	if v := tb.now(14); v.check(14) == nil {
		t.Error("a torn value was taken")
	}
}

// Few keys get most requests, as far as the skew says.
func TestLoad(t *testing.T) {
	for _, c := range []struct{ skew, low, high float64 }{{0, 0.005, 0.02}, {1.1, 0.4, 0.6}} {
		l, first, writes := newLoad(1000, 30, c.skew), 0, 0
		for i := range 10000 {
			r := l.request(i)
			if r != l.request(i) || r.word >= words-1 {
				t.Fatal("a request is the same whoever asks, and spares the sum")
			}
			if r.key < 10 {
				first++
			}
			if r.write {
				writes++
			}
		}
		if share := float64(first) / 10000; share < c.low || share > c.high || writes < 2700 || writes > 3300 {
			t.Errorf("skew %g: ten keys of 1000 have %g of the requests; %d writes", c.skew, share, writes)
		}
	}
}
