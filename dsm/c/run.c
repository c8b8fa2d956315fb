/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - private state and steps. What is saved: how many blocks there are, the
 * next step, each block's length, then the blocks.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "impl.h"

#define BLOCKS	64

static struct {
	struct { void *p; uint64_t bytes; } block[BLOCKS];
	uint64_t blocks, step, at;	/* at: where the next block was saved */
	int ran;
} private;

static int transfer(int out, void *p, uint64_t bytes, uint64_t at)
{
	ssize_t n;

	for (uint64_t off = 0; off < bytes; off += n) {
		n = out ? pwrite(self.fds[2], (char *)p + off, bytes - off, at + off) : pread(self.fds[2], (char *)p + off, bytes - off, at + off);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return fail(n ? -errno : -EBADMSG, "private state: %llu bytes of %llu", (unsigned long long)off, (unsigned long long)bytes);
	}
	return 0;
}

static int restored(void)
{
	return !!(self.w.flags & BD_DSM_RESTORED);
}

/* Reads one word of what was saved, which is private_bytes long. */
static int saved(uint64_t at, uint64_t *v)
{
	if (at + sizeof(*v) > self.w.private_bytes)
		return fail(-EBADMSG, "private state of %llu bytes: another program wrote it", (unsigned long long)self.w.private_bytes);
	return transfer(0, v, sizeof(*v), at);
}

static uint64_t header(uint64_t blocks)
{
	return 8 * (2 + blocks);
}

static int restore(void *p, uint64_t bytes)
{
	uint64_t blocks, len, i = private.blocks;
	int err = saved(0, &blocks);

	if (err >= 0)
		err = saved(8, &private.step);
	if (err >= 0)
		err = saved(header(i), &len);
	if (err < 0)
		return err;
	if (!i)
		private.at = header(blocks);
	if (i >= blocks || blocks > BLOCKS || len != bytes || private.at > self.w.private_bytes || len > self.w.private_bytes - private.at)
		return fail(-EBADMSG, "private state %llu of %llu bytes is not in the checkpoint: another program wrote that", (unsigned long long)i, (unsigned long long)bytes);
	err = transfer(0, p, bytes, private.at);
	private.at += bytes;
	return err;
}

int dsm_private(void *p, size_t bytes)
{
	int err;

	if (self.stage != IN)
		return fail(-ENOTCONN, "this process has joined no node");
	if (private.ran)
		return fail(-EALREADY, "private state is registered before dsm_run");
	if (private.blocks == BLOCKS)
		return fail(-ENOSPC, "more than %d blocks of private state", BLOCKS);
	err = restored() ? restore(p, bytes) : 0;
	if (err < 0)
		return err;
	private.block[private.blocks].p = p;
	private.block[private.blocks++].bytes = bytes;
	return 0;
}

static int save(uint64_t step)
{
	uint64_t head[2 + BLOCKS] = { private.blocks, step }, at = header(private.blocks);
	int err;

	for (uint64_t i = 0; i < private.blocks; i++)
		head[2 + i] = private.block[i].bytes;
	err = transfer(1, head, at, 0);
	for (uint64_t i = 0; err >= 0 && i < private.blocks; i++) {
		err = transfer(1, private.block[i].p, private.block[i].bytes, at);
		at += private.block[i].bytes;
	}
	if (err >= 0)
		err = call(BD_DSM_CHECKPOINT, at, 0, 0);
	return err == -DSM_ELOST ? 0 : err; /* the one before is still there, and the daemon has told */
}

/* The place between two steps. */
static int between(uint64_t next)
{
	if (!self.due)
		return 0;
	self.due = 0;
	for (int i = 0; i < self.lock; i++)
		if (self.held[i])
			return fail(-EDEADLK, "lock %d is held at the end of step %llu", i, (unsigned long long)next - 1);
	return save(next);
}

/* How far a restarted process was. */
static int first_step(uint64_t *k)
{
	uint64_t blocks;
	int err;

	*k = 0;
	if (!restored())
		return 0;
	err = saved(0, &blocks);
	if (err < 0)
		return err;
	if (blocks != private.blocks)
		return fail(-EBADMSG, "the checkpoint has %llu blocks of private state, the program %llu", (unsigned long long)blocks, (unsigned long long)private.blocks);
	return saved(8, k);
}

int dsm_run(int (*step)(int k, void *arg), void *arg)
{
	uint64_t k, before;
	int err;

	if (self.stage != IN)
		return fail(-ENOTCONN, "this process has joined no node");
	if (private.ran || self.done)
		return fail(-EALREADY, "a program has one dsm_run, and no operation before it");
	private.ran = 1;
	err = first_step(&k);
	for (; err >= 0; k++) {
		before = self.done;
		if (!step(k, arg))
			return 0;
		if (self.done > before)
			err = between(k + 1);
	}
	return err;
}

void dsm_checkpoint(void)
{
	self.due = 1;
}
