/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - rings, the positions in them (package mtcp's Reader and Writer), and sleep. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "impl.h"

/* As far as the bytes lie together; *n becomes how many that are. */
uint8_t *ring_at(const struct ring *r, uint64_t off, uint64_t *n)
{
	uint64_t i = (off - r->base) & (r->len - 1);

	*n = least(*n, r->len - i);
	return r->data + i;
}

void ring_put(const struct ring *r, uint64_t off, const void *p, uint64_t n)
{
	uint64_t k = n;
	uint8_t *to = ring_at(r, off, &k);

	memcpy(to, p, k);
	memcpy(r->data, (const uint8_t *)p + k, n - k);
}

void ring_take(const struct ring *r, uint64_t off, void *p, uint64_t n)
{
	uint64_t k = n;
	const uint8_t *from = ring_at(r, off, &k);

	memcpy(p, from, k);
	memcpy((uint8_t *)p + k, r->data, n - k);
}

/* How many of the next n bytes the log has: a replay reads them again. */
uint64_t reader_logged(const struct reader *r, uint64_t n)
{
	return least(r->end - r->pos, n);
}

/* The writer waits for room that only an export makes. */
int reader_crowded(const struct reader *r, uint64_t size)
{
	return r->end - r->lsr == size && r->pos > r->lsr;
}

/* How many of the next n bytes have been written before. */
uint64_t writer_swallow(const struct writer *w, uint64_t n)
{
	return w->pos >= w->head ? 0 : least(n, w->head - w->pos);
}

/* What is written now and not swallowed is put aside. */
int writer_holds(const struct writer *w)
{
	return w->ndi || w->head < w->pos;
}

void writer_write(struct writer *w, uint64_t n)
{
	int holds = writer_holds(w);

	w->pos += n;
	if (!holds)
		w->head = most(w->head, w->pos);
}

void futex_wake(void *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* In case the headers are older than the kernel (5.16). */
struct waiter {
	uint64_t val, addr;
	uint32_t flags, reserved;
};

#define NR_FUTEX_WAITV	449
#define SIZE_U32	2	/* shared: other processes wake us */

/*
 * Until one of two words no longer has its value, and for 50 ms at most: the
 * waker may die before it wakes.
 */
void futex_sleep(void *word, uint32_t seen, void *word2, uint32_t seen2)
{
	struct waiter w[2] = {
		{ seen, (uintptr_t)word, SIZE_U32, 0 },
		{ seen2, (uintptr_t)word2, SIZE_U32, 0 },
	};
	struct timespec until, brief = { 0, 1000000 };

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 50000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (syscall(NR_FUTEX_WAITV, w, 2, 0, &until, CLOCK_MONOTONIC) < 0 && (errno == ENOSYS || errno == EPERM))
		syscall(SYS_futex, word, FUTEX_WAIT, seen, &brief, NULL, 0);
}
