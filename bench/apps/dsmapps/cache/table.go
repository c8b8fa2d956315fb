// SPDX-License-Identifier: Apache-2.0

package cache

import "fmt"

// ways is how many slots a bucket has.
const ways = 4

// words of a value; the last is the sum of the others.
const words = 30

type value [words]int64

// slot is a value in the cache. Key is 0 where there is none, else the key + 1.
type slot struct {
	Key   int64
	Used  int64 // the bucket's tick
	Value value
}

// bucket has slots and counts its requests.
type bucket struct {
	Tick  int64
	Slots [ways]slot
}

func (v *value) add(word int, delta int64) {
	v[word] += delta
	v[words-1] += delta
}

// check is an error for a value of which some words are older than others.
func (v *value) check(key int) error {
	sum := int64(0)
	for _, w := range v[:words-1] {
		sum += w
	}
	if sum != v[words-1] {
		return fmt.Errorf("the value of key %d is torn: its words' sum is %d, not %d", key, sum, v[words-1])
	}
	return nil
}

// table is the cache and what it stands before.
type table struct {
	buckets []bucket
	records []value // by key
}

func (t *table) bucket(key int) int { return key % len(t.buckets) }

// find is the value in its slot, if it has one.
func (t *table) find(key int) *slot {
	b := &t.buckets[t.bucket(key)]
	for i := range b.Slots {
		if b.Slots[i].Key == int64(key)+1 {
			return &b.Slots[i]
		}
	}
	return nil
}

// get is the value in its slot, where it comes if it was in none. The slot that
// was not used for longest gives its value back.
func (t *table) get(key int) (v *value, hit bool) {
	b := &t.buckets[t.bucket(key)]
	b.Tick++
	s := t.find(key)
	if hit = s != nil; !hit {
		s = b.oldest()
		if s.Key > 0 {
			t.records[s.Key-1] = s.Value
		}
		s.Key, s.Value = int64(key)+1, t.records[key]
	}
	s.Used = b.Tick
	return &s.Value, hit
}

func (b *bucket) oldest() *slot {
	o := &b.Slots[0]
	for i := range b.Slots {
		if b.Slots[i].Used < o.Used {
			o = &b.Slots[i]
		}
	}
	return o
}

// now is a key's value, wherever it is.
func (t *table) now(key int) value {
	if s := t.find(key); s != nil {
		return s.Value
	}
	return t.records[key]
}
