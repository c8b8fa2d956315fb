/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - memory: what all nodes reserve, from the region's end down, and what is
 * allocated while the program runs, from its beginning, as package dsm/heap does:
 * in words of the region itself, under the last lock.
 */
#include "impl.h"

#define LINE	64

static uint64_t pages_of(size_t bytes)
{
	return bytes >= self.w.page_size ? self.w.page_size : LINE;
}

void *dsm_slice(size_t bytes)
{
	uint64_t align = pages_of(bytes), at;

	if (self.stage != WELCOME && self.stage != IN) {
		fail(-ENOTCONN, "this process has joined no node");
		return NULL;
	}
	if (self.done) {
		fail(-EALREADY, "slices are reserved before the first operation, so that all nodes agree");
		return NULL;
	}
	at = bytes > self.top ? 0 : (self.top - bytes) / align * align;
	if (!bytes || at < self.w.page_size) { /* the first page is the heap's */
		fail(-ENOMEM, "a slice of %zu bytes: %llu of %llu are free", bytes, (unsigned long long)self.top, (unsigned long long)self.w.bytes);
		return NULL;
	}
	self.top = at;
	return (char *)self.w.base + at;
}

/*
 * The header: the end of what was ever given out, then for each class its first
 * free block. Before a block lies its class while it is in use; in a free one
 * lies the next. Class c is of 2^c bytes with that word, PAGED + c is of 2^c
 * bytes aligned to pages.
 */
enum { SMALLEST = 4, PAGED = 40, CLASSES = 2 * PAGED, HEADER = 8 + 8 * CLASSES, WORD = 8 };

static uint64_t *word(uint64_t at)
{
	return (uint64_t *)((char *)self.w.base + at);
}

/* The least c with 2^c >= n. */
static int bits(uint64_t n)
{
	return n <= 1 ? 0 : 64 - __builtin_clzll(n - 1);
}

static int class_of(size_t bytes)
{
	int c;

	if (bytes >= self.w.page_size)
		return PAGED + bits(bytes);
	c = bits(bytes + WORD);
	return c < SMALLEST ? SMALLEST : c;
}

/* A block of what was never given out; 0 is none. */
static uint64_t fresh(int c)
{
	uint64_t end = *word(0), at = (end < HEADER ? HEADER : end) + WORD, size = (1ULL << c) - WORD;

	if (c >= PAGED) {
		at = (at + self.w.page_size - 1) / self.w.page_size * self.w.page_size;
		size = 1ULL << (c - PAGED);
	}
	if (at + size > self.top)
		return 0;
	*word(0) = at + size;
	return at;
}

static uint64_t allocate(int c)
{
	uint64_t *list = word(8 + 8 * c), at = *list;

	if (at)
		*list = *word(at);
	else
		at = fresh(c);
	if (at)
		*word(at - WORD) = c;
	return at;
}

void *dsm_alloc(size_t bytes)
{
	uint64_t at;

	if (!bytes || bytes > self.top) {
		fail(-ENOMEM, "allocate %zu bytes of %llu", bytes, (unsigned long long)self.top);
		return NULL;
	}
	if (take_lock(self.w.locks) < 0)
		return NULL;
	at = allocate(class_of(bytes));
	if (give_lock(self.w.locks) < 0)
		return NULL;
	if (!at) {
		fail(-ENOMEM, "allocate %zu bytes: the shared region is full", bytes);
		return NULL;
	}
	return word(at);
}

static int release(uint64_t at)
{
	uint64_t c, *list;

	if (at < HEADER + WORD || at >= *word(0))
		return fail(-EINVAL, "free: byte %llu was never given out", (unsigned long long)at);
	c = at % WORD ? 0 : *word(at - WORD);
	if (c < SMALLEST || c >= CLASSES)
		return fail(-EINVAL, "free: no block in use begins at byte %llu", (unsigned long long)at);
	list = word(8 + 8 * c);
	*word(at - WORD) = 0;
	*word(at) = *list;
	*list = at;
	return 0;
}

int dsm_free(void *p)
{
	int err, end;

	if (!p)
		return 0;
	err = in_region(p, 1);
	if (err >= 0)
		err = take_lock(self.w.locks);
	if (err < 0)
		return err;
	err = release((uintptr_t)p - self.w.base);
	end = give_lock(self.w.locks);
	return err < 0 ? err : end;
}
