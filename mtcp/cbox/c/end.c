/* SPDX-License-Identifier: Apache-2.0 */
/* end.c - this process's ends of channels (section 2.4.4). */
#include <stdlib.h>
#include <sys/socket.h>

#include "impl.h"

static void wake_reader(struct end *e)
{
	if (LOAD(&e->chan->reader_waits))
		futex_wake(&e->chan->head);
}

static void wake_writer(struct end *e)
{
	if (LOAD(&e->chan->writer_waits))
		futex_wake(&e->chan->lsr);
}

/* Opens end idx at a position that the last snapshot had, or at 0. */
int end_add(struct cbox *c, const struct head *x, uint32_t idx, const struct bd_cbox_end *at)
{
	const struct bd_cbox_chan *t = &x->chans[idx];
	struct end *e;

	if (at->pos > t->head && (t->writer != c->slot || at->pos - t->head > t->ring.len))
		return -CBOX_EDAMAGED;
	if (t->reader == c->slot && t->head - at->pos > t->ring.len)
		return -CBOX_EDAMAGED;
	if (t->writer == c->slot && c->ndi && at->pos < t->head)
		return -CBOX_EDIVERGED;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->idx = idx;
	e->writes = t->writer == c->slot;
	e->peer = e->writes ? t->reader : t->writer;
	e->closed = !!(at->flags & BD_CBOX_END_CLOSED);
	e->chan = (struct bd_cbox_chan *)(c->m + x->h.chans.off) + idx;
	e->ring = (struct ring){ c->m + t->ring.off, t->ring.len, 0 };
	if (e->writes) {
		e->w = (struct writer){ at->pos, t->head, c->ndi };
		STORE(&e->chan->writer_waits, 0);
	} else {
		e->r = (struct reader){ at->pos, at->pos, t->head };
		STORE(&e->chan->reader_waits, 0);
	}
	c->ends[c->nends++] = e;
	end_exported(e, c->ndi); /* what the snapshot released, should nobody have got to do it */
	return 0;
}

/* Finds this process's ends; one that the snapshot does not mention was associated later. */
int end_find(struct cbox *c, const struct head *x, const struct snapshot *s)
{
	for (uint32_t i = 0; i < x->h.chans.count; i++) {
		struct bd_cbox_end at = { .chan = i };
		int err;

		if (x->chans[i].state != BD_CBOX_CHAN_OPEN || (x->chans[i].writer != c->slot && x->chans[i].reader != c->slot))
			continue;
		for (unsigned k = 0; k < s->s.ends; k++)
			if (s->ends[k].chan == i)
				at = s->ends[k];
		err = end_add(c, x, i, &at);
		if (err)
			return err;
	}
	return 0;
}

void end_position(const struct end *e, struct bd_cbox_end *at)
{
	*at = (struct bd_cbox_end){ e->idx, e->closed ? BD_CBOX_END_CLOSED : 0, e->writes ? e->w.pos : e->r.pos };
}

static void pass(struct end *e, uint64_t off)
{
	e->w.head = off;
	STORE(&e->chan->head, off);
	wake_reader(e);
}

/* A snapshot counts: a reader's log is trimmed, a writer's held bytes are passed on. */
void end_exported(struct end *e, int ndi)
{
	if (!e->writes) {
		e->r.lsr = e->r.pos;
		STORE(&e->chan->lsr, e->r.lsr);
		wake_writer(e);
		if (e->closed)
			STORE(&e->chan->gone, 1);
		return;
	}
	e->w.ndi = ndi;
	if (e->w.pos > e->w.head)
		pass(e, e->w.pos);
	if (e->closed) {
		STORE(&e->chan->end, 1);
		wake_reader(e);
	}
}

/* In a nondeterministic interval the other end learns of it with the next export. */
void end_close(struct cbox *c, struct end *e)
{
	if (e->closed)
		return;
	e->closed = 1;
	if (c->ndi)
		return;
	if (!e->writes) {
		STORE(&e->chan->gone, 1);
		wake_writer(e);
	} else if (e->w.pos >= e->w.head) { /* else the replay is not there yet, and it is closed already */
		STORE(&e->chan->end, 1);
		wake_reader(e);
	}
}

/* The n-th ring to or from a process. */
static struct end *find_end(struct cbox *c, uint32_t slot, unsigned n, int writes)
{
	uint32_t peer = slot == BD_CBOX_NONE ? c->parent : slot;

	for (unsigned i = 0; i < c->nends; i++)
		if (c->ends[i]->peer == peer && c->ends[i]->writes == writes && n-- == 0)
			return c->ends[i];
	return NULL;
}

/* One attempt; -EAGAIN: there is nothing yet, *seen is the word to sleep on. */
static ssize_t read_once(struct end *e, void *buf, size_t len, uint32_t *seen)
{
	uint64_t head = LOAD(&e->chan->head), n;
	int done = LOAD(&e->chan->end) != 0;

	*seen = (uint32_t)head;
	if (done) /* it was stored after the last head */
		head = LOAD(&e->chan->head);
	if (head < e->r.end || head - e->r.lsr > e->ring.len)
		return -CBOX_EDAMAGED;
	e->r.end = head;
	if (e->closed)
		return -EBADF;
	n = reader_logged(&e->r, len);
	if (n) {
		ring_take(&e->ring, e->r.pos, buf, n);
		e->r.pos += n;
		PUT(&e->chan->read, e->r.pos);
		return (ssize_t)n;
	}
	if (done)
		return 0;
	return e->r.end - e->r.lsr == e->ring.len ? -CBOX_ELOGFULL : -EAGAIN;
}

/* One attempt; -EAGAIN: the reader's log is in the way. */
static ssize_t write_once(struct end *e, const void *buf, size_t len, uint32_t *seen)
{
	uint64_t lsr, room, n;
	int holds;

	if (e->closed)
		return -EBADF;
	n = writer_swallow(&e->w, len);
	if (n) {
		writer_write(&e->w, n);
		return (ssize_t)n;
	}
	if (LOAD(&e->chan->gone))
		return -EPIPE;
	lsr = LOAD(&e->chan->lsr);
	if (lsr > e->w.head || e->w.pos - lsr > e->ring.len)
		return -CBOX_EDAMAGED;
	*seen = (uint32_t)lsr;
	room = e->ring.len - (e->w.pos - lsr);
	if (!room)
		return e->w.ndi && e->w.pos > e->w.head ? -CBOX_ELOGFULL : -EAGAIN;
	n = least(room, len);
	ring_put(&e->ring, e->w.pos, buf, n);
	holds = writer_holds(&e->w);
	writer_write(&e->w, n);
	if (!holds)
		pass(e, e->w.pos);
	return (ssize_t)n;
}

/* Who waits for a process that waits for room in a log here has to export. */
static int crowded(struct cbox *c, const struct end *waiting)
{
	for (unsigned i = 0; i < c->nends; i++) {
		struct end *e = c->ends[i];
		uint64_t head;

		if (e->writes || e->peer != waiting->peer || e == waiting)
			continue;
		head = LOAD(&e->chan->head);
		if (head > e->r.end && head - e->r.lsr <= e->ring.len)
			e->r.end = head;
		if (reader_crowded(&e->r, e->ring.len))
			return 1;
	}
	return 0;
}

static ssize_t attempt(struct cbox *c, struct end *e, void *in, const void *out, size_t len)
{
	uint32_t *waits = e->writes ? &e->chan->writer_waits : &e->chan->reader_waits, seen = 0;
	ssize_t n = box_begin(c);

	if (n < 0)
		return n;
	n = e->writes ? write_once(e, out, len, &seen) : read_once(e, in, len, &seen);
	if (n != -EAGAIN || crowded(c, e)) {
		box_leave(c);
		return n == -EAGAIN ? -CBOX_ELOGFULL : n;
	}
	if (c->conn >= 0 && conn_pending(c))
		(void)conn_send(c); /* the other may wait for the client, who waits for this */
	STORE(waits, 1);
	n = e->writes ? write_once(e, out, len, &seen) : read_once(e, in, len, &seen); /* the other may have looked before */
	box_leave(c);
	if (n == -EAGAIN && !c->nonblock)
		futex_sleep(e->writes ? (void *)&e->chan->lsr : (void *)&e->chan->head, seen, &c->h->state, BD_CBOX_LIVE);
	STORE(waits, 0);
	return n;
}

static ssize_t move(struct cbox *c, struct end *e, void *in, const void *out, size_t len)
{
	ssize_t n;

	for (;;) {
		n = attempt(c, e, in, out, len);
		if (n != -EAGAIN || c->nonblock)
			return n;
	}
}

ssize_t cbox_chan_read(struct cbox *c, uint32_t slot, unsigned i, void *buf, size_t len)
{
	struct end *e = find_end(c, slot, i, 0);

	if (!e)
		return -ENOENT;
	return len ? move(c, e, buf, NULL, len) : 0;
}

ssize_t cbox_chan_write(struct cbox *c, uint32_t slot, unsigned i, const void *buf, size_t len)
{
	struct end *e = find_end(c, slot, i, 1);
	size_t done = 0;
	ssize_t n = 0;

	if (!e)
		return -ENOENT;
	while (done < len && (n = move(c, e, NULL, (const uint8_t *)buf + done, len - done)) > 0)
		done += (size_t)n;
	return done || n >= 0 ? (ssize_t)done : n;
}

int cbox_chan_close(struct cbox *c, uint32_t slot, unsigned i, int how)
{
	struct end *in = find_end(c, slot, i, 0), *out = find_end(c, slot, i, 1);
	int err;

	if (!in || !out)
		return -ENOENT;
	err = box_begin(c);
	if (err)
		return err;
	if (how != SHUT_WR)
		end_close(c, in);
	if (how != SHUT_RD)
		end_close(c, out);
	box_leave(c);
	return 0;
}
