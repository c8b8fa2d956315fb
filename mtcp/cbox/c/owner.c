/* SPDX-License-Identifier: Apache-2.0 */
/* owner.c - who has a slot, and the fence around each of its operations. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "impl.h"

/* What keeps enter out. -EAGAIN: it may stay here after all. */
static int why(struct cbox *c)
{
	if (LOAD(&c->proc->owner) != c->owner)
		return -CBOX_EMIGRATED;
	switch (LOAD(&c->h->state)) {
	case BD_CBOX_NEW:
	case BD_CBOX_LIVE:
	case BD_CBOX_LEAVING:
		return -EAGAIN;
	case BD_CBOX_CLOSED:
		return -EBADF;
	}
	return -CBOX_EMIGRATED;
}

/* While the session is about to leave. */
static void await(struct cbox *c)
{
	uint32_t seen = LOAD(&c->h->state);

	if (seen != BD_CBOX_LIVE)
		futex_sleep(&c->h->state, seen, &c->proc->owner, c->owner);
}

/*
 * Marks that this process is inside. The slot may be another's since it last
 * looked: who comes late must not take that one's mark for its own.
 */
static int enter(struct cbox *c)
{
	uint32_t seen = LOAD(&c->proc->busy), mine = c->owner;

	while ((seen && LOAD(&c->proc->owner) != c->owner) || !CAS(&c->proc->busy, &seen, c->owner)) {
		if (LOAD(&c->proc->owner) != c->owner)
			return why(c);
		seen = LOAD(&c->proc->busy);
	}
	if (LOAD(&c->h->state) == BD_CBOX_LIVE && LOAD(&c->proc->owner) == c->owner)
		return 0;
	CAS(&c->proc->busy, &mine, 0); /* another's mark stays */
	return why(c);
}

void box_leave(struct cbox *c)
{
	PUT(&c->proc->busy, 0);
}

/* From here to box_leave nobody takes the session's state; nothing in between may block. */
int box_begin(struct cbox *c)
{
	int err;

	while ((err = enter(c)) == -EAGAIN && !c->nonblock)
		await(c);
	return err;
}

/* As far as can be seen from this process's namespace. A zombie writes no more. */
static int alive(uint64_t pid)
{
	char path[64], stat[512], *state;
	ssize_t n;
	int fd;

	if (pid == 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		return 0;
	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (n <= 0)
		return 1;
	stat[n] = 0;
	state = strrchr(stat, ')');
	return !state || !state[1] || (state[2] != 'Z' && state[2] != 'X');
}

/*
 * Waits for the process before to leave a call that does not block. One that
 * was stopped there would go on writing when it wakes: it has to be killed first.
 */
static int settle(struct cbox *c)
{
	struct timespec pause = { 0, 20000 };

	for (int i = 0; LOAD(&c->proc->busy); i++) {
		if (!alive(LOAD(&c->proc->pid))) {
			STORE(&c->proc->busy, 0);
			return 0;
		}
		if (i == 40000) /* two seconds, or a little more */
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* What an earlier owner had claimed when it died is free again. */
static void disclaim(struct cbox *c)
{
	struct bd_cbox_proc *p = (struct bd_cbox_proc *)(c->m + c->fixed.procs.off);
	struct bd_cbox_chan *ch = (struct bd_cbox_chan *)(c->m + c->fixed.chans.off);
	uint32_t claim;

	for (unsigned i = 0; i < c->fixed.procs.count; i++) {
		claim = BD_CBOX_CLAIM(c->slot);
		CAS(&p[i].state, &claim, BD_CBOX_PROC_FREE);
	}
	for (unsigned i = 0; i < c->fixed.chans.count; i++) {
		claim = BD_CBOX_CLAIM(c->slot);
		CAS(&ch[i].state, &claim, 0);
	}
}

/* Reads the last snapshot and sets all positions by it. */
static int begin(struct cbox *c)
{
	struct snapshot s;
	struct head x;
	int err = head_read(c->m, c->where.length, &x);

	if (err)
		return err;
	err = snap_last(c, &x, &s);
	if (err)
		goto no_snap;
	if (s.s.flags & BD_CBOX_SNAP_FINAL || x.h.state == BD_CBOX_CLOSED || x.procs[c->slot].state == BD_CBOX_PROC_DONE) {
		err = -EBADF;
		goto out;
	}
	c->seq = s.s.seq;
	c->ndi = !!(s.s.flags & BD_CBOX_SNAP_NDI);
	c->shut = !!(s.s.flags & BD_CBOX_SNAP_SHUT);
	c->has_state = s.s.seq > 0;
	c->state = s.data;
	c->state_len = s.s.len;
	s.data = NULL;
	err = end_find(c, &x, &s);
	if (!err && c->conn >= 0)
		err = conn_begin(c, &x, &s);
out:
	snap_free(&s);
no_snap:
	head_free(&x);
	return err;
}

/*
 * Writes this process's pid over that of the one before, unless another has taken
 * the slot over meanwhile: that one's must stay.
 */
static int sign(struct cbox *c)
{
	uint64_t before = LOAD(&c->proc->pid);

	do {
		if (LOAD(&c->proc->owner) != c->owner)
			return 0;
	} while (!CAS(&c->proc->pid, &before, (uint64_t)getpid()));
	return 1;
}

/* Makes this process the owner of its slot, which ends whatever an earlier one does. */
int box_take_over(struct cbox *c)
{
	int err;

	c->owner = __atomic_add_fetch(&c->proc->owner, 1, __ATOMIC_SEQ_CST);
	err = settle(c);
	if (err)
		return err;
	disclaim(c);
	err = begin(c);
	if (err)
		return err;
	if (!sign(c))
		return why(c);
	STORE(&c->proc->state, BD_CBOX_PROC_LIVE);
	return 0;
}

/*
 * After an error of box_take_over. Nothing of it counts if the session is leaving, for its
 * socket is that of nobody then. True: it has stayed after all, and is to be tried again.
 */
int box_stays(struct cbox *c, int *err)
{
	struct timespec pause = { 0, 1000000 };
	int left = 0;

	for (int i = 0; LOAD(&c->h->state) == BD_CBOX_LEAVING && i < 2000; i++) {
		left = 1;
		nanosleep(&pause, NULL);
	}
	if (why(c) == -CBOX_EMIGRATED) {
		*err = -CBOX_EMIGRATED;
		return 0;
	}
	return left && LOAD(&c->h->state) == BD_CBOX_LIVE;
}
