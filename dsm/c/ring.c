/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - calls, and operations without one (struct bd_dsm_ring). */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "impl.h"

#define get(p)		__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define put(p, v)	__atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

/* Whoever should wake us may have died before: every sleep is short. */
static const struct timespec moment = { .tv_nsec = 50000000 };

static int fits(uint64_t at, uint64_t size, size_t bytes)
{
	return at % 8 == 0 && at + size <= bytes;
}

/* Checks what the daemon has laid out; what is used is copied first. */
int open_ring(void *p, size_t bytes)
{
	struct bd_dsm_ring *r = p, h;

	self.ring = r;
	if (bytes < sizeof(h))
		return fail(-EPROTO, "a ring of %zu bytes", bytes);
	memcpy(&h, r, sizeof(h));
	if (h.magic != BD_DSM_MAGIC || !h.ops || h.ops & (h.ops - 1) || h.locks < self.w.locks + 1 ||
	    !fits(h.ops_at, 8ULL * h.ops, bytes) || !fits(h.words_at, 4ULL * h.locks, bytes))
		return fail(-EPROTO, "a ring of %zu bytes: %u operations at %u, %u locks at %u", bytes, h.ops, h.ops_at, h.locks, h.words_at);
	self.locks = h.locks;
	self.ops = h.ops;
	self.words = (uint32_t *)((char *)p + h.words_at);
	self.op = (uint64_t *)((char *)p + h.ops_at);
	return 0;
}

static void sleep_on(uint32_t *word, uint32_t seen, uint32_t *sleeps)
{
	put(sleeps, 1);
	if (get(word) == seen)
		syscall(SYS_futex, word, FUTEX_WAIT, seen, &moment, NULL, 0);
	put(sleeps, 0);
}

static int gone(void)
{
	struct pollfd p = { .fd = self.conn };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static const char *const names[] = {
	[BD_DSM_ACQUIRE] = "acquire", [BD_DSM_RELEASE] = "release", [BD_DSM_BARRIER] = "barrier", [BD_DSM_WAIT] = "wait",
	[BD_DSM_SIGNAL] = "signal", [BD_DSM_BROADCAST] = "broadcast", [BD_DSM_PLACE] = "place", [BD_DSM_PREFETCH] = "prefetch",
	[BD_DSM_CHECKPOINT] = "checkpoint", [BD_DSM_END] = "end",
};

static int answered(uint32_t kind, uint64_t about)
{
	struct bd_dsm_ring *r = self.ring;
	uint32_t flags = get(&r->flags), error = get(&r->error);
	int err = -EIO;

	if (flags & BD_DSM_DUE)
		self.due = 1;
	self.past = !!(flags & BD_DSM_REPLAYED);
	if (error == BD_DSM_OK)
		return 0;
	if (error == BD_DSM_INVALID)
		err = -EINVAL;
	else if (error == BD_DSM_REFUSED)
		err = -DSM_EREFUSED;
	else if (error == BD_DSM_LOST)
		err = -DSM_ELOST;
	return fail(err, "%s %llu: %.*s", names[kind], (unsigned long long)about, BD_DSM_TEXT, r->why);
}

int call(uint32_t kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct bd_dsm_ring *r = self.ring;
	uint32_t n = get(&r->call) + 1, seen;

	r->arg[0] = a;
	r->arg[1] = b;
	r->arg[2] = c;
	r->kind = kind;
	put(&r->call, n);
	if (get(&r->dsmd_sleeps))
		syscall(SYS_futex, &r->call, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	while ((seen = get(&r->answer)) != n) {
		sleep_on(&r->answer, seen, &r->program_sleeps);
		if (get(&r->answer) == seen && gone())
			return fail(-EPIPE, "%s %llu: the daemon of this node is gone", names[kind], (unsigned long long)a);
	}
	return answered(kind, a);
}

/*
 * An operation on a token that is here and that nobody waits for. The gate's turn
 * tells whether the daemon looked in between.
 */
static int alone(uint32_t kind, uint32_t lock)
{
	uint64_t gate = get(&self.ring->gate);
	uint32_t tail = gate & BD_DSM_GATE_TAIL;

	if (gate & BD_DSM_GATE_SHUT || get(&self.words[lock]) != 1 || tail - get(&self.ring->taken) >= self.ops)
		return 0;
	put(&self.op[tail & (self.ops - 1)], (uint64_t)kind << 32 | lock);
	return __atomic_compare_exchange_n(&self.ring->gate, &gate, (gate & BD_DSM_GATE_TURN) | (uint32_t)(tail + 1), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Right behind an operation a process may be saved whole. */
static int over(int err)
{
	if (err < 0 || !self.whole || !self.due)
		return err;
	self.due = 0;
	err = image_save();
	return err < 0 ? err : 0;
}

static int on_lock(uint32_t kind, uint32_t lock)
{
	int err = begin();

	if (err < 0)
		return err;
	if (!alone(kind, lock))
		return over(call(kind, lock, 0, 0));
	self.past = 0;
	return 0;
}

int take_lock(uint32_t lock)
{
	return on_lock(BD_DSM_ACQUIRE, lock);
}

int give_lock(uint32_t lock)
{
	return on_lock(BD_DSM_RELEASE, lock);
}

int operation(uint32_t kind, uint64_t a, uint64_t b, uint64_t c)
{
	int err = begin();

	if (err < 0)
		return err;
	err = call(kind, a, b, c);
	return kind <= BD_DSM_BROADCAST ? over(err) : err;
}
