/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - the client's connection in the root process. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "impl.h"

#define PAGE	4096

/* Sets the positions by the snapshot and the kernel's counters, and does what
 * the process before may not have got to do. */
int conn_begin(struct cbox *c, struct head *x, const struct snapshot *s)
{
	uint64_t read, out;
	int err = conn_offsets(c->conn, x->h.read_base, x->h.write_base, &read, &out);

	if (err)
		return err;
	if (read < x->h.read || out < x->h.written || s->s.lsr > read || read - s->s.lsr > x->h.log.len)
		return -CBOX_EDAMAGED;
	if (c->ndi && s->s.lsw < out)
		return -CBOX_EDIVERGED;
	if (s->s.lsw > out && s->s.lsw - out > x->h.hold.len)
		return -CBOX_EDAMAGED;
	c->log = (struct ring){ c->m + x->h.log.off, x->h.log.len, s->s.log_base };
	c->hold = (struct ring){ c->m + x->h.hold.off, x->h.hold.len, 0 };
	c->up = (struct reader){ s->s.lsr, s->s.lsr, read };
	c->down = (struct writer){ s->s.lsw, out, c->ndi };
	c->release = s->s.lsw;
	c->touched = x->h.log.len;
	err = act_begin(c, x, s);
	if (err)
		return err;
	err = conn_send(c);
	return err == -EAGAIN ? 0 : err;
}

void conn_position(const struct cbox *c, struct bd_cbox_snap *s)
{
	s->lsr = c->up.pos;
	s->lsw = c->down.pos;
	/* An empty log begins at its first page again. */
	s->log_base = c->up.pos == c->up.end ? c->up.pos : c->log.base;
	s->actions = c->act_next;
}

void conn_exported(struct cbox *c, int ndi)
{
	c->shut_due |= c->shut_held;
	c->shut_held = 0;
	c->up.lsr = c->up.pos;
	if (c->up.pos == c->up.end)
		c->log.base = c->up.pos;
	act_exported(c);
	c->down.ndi = ndi;
	c->release = c->down.pos;
}

/* Released output, or a FIN, waits for the socket. */
int conn_pending(const struct cbox *c)
{
	return c->down.head < c->release || c->shut_due;
}

static ssize_t to_socket(struct cbox *c, const void *p, size_t n)
{
	ssize_t k;

	do
		k = send(c->conn, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : k;
}

/* Gives the socket what exports have released, and then the FIN if one is due. */
int conn_send(struct cbox *c)
{
	while (c->down.head < c->release) {
		uint64_t n = c->release - c->down.head;
		const uint8_t *p = ring_at(&c->hold, c->down.head, &n);
		ssize_t k = to_socket(c, p, n);

		if (k < 0)
			return (int)k;
		c->down.head += (uint64_t)k;
		PUT(&c->h->written, c->down.head);
	}
	if (!c->shut_due)
		return 0;
	c->shut_due = 0;
	return shutdown(c->conn, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
}

/* The bell, by its edges: nobody reads it, so it rings for every thread. */
static int listen_to_bell(struct cbox *c)
{
	struct epoll_event bell = { .events = EPOLLIN | EPOLLET };
	struct epoll_event conn = { .events = 0 };

	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return -errno;
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->bell, &bell) < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->conn, &conn) < 0)
		return -errno;
	return 0;
}

/* How long read(2) or write(2) would wait, in milliseconds. */
static int patience(int fd, int option)
{
	struct timeval tv = { 0, 0 };
	socklen_t n = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, option, &tv, &n) < 0 || (!tv.tv_sec && !tv.tv_usec))
		return -1;
	return (int)least((uint64_t)tv.tv_sec * 1000 + ((uint64_t)tv.tv_usec + 999) / 1000, INT32_MAX);
}

/* Until the socket is ready or the bell rings; -EAGAIN: the caller is not to wait. */
static int wait_for(struct cbox *c, short events)
{
	struct pollfd p = { .fd = c->conn, .events = events };
	int ms, n;

	if (c->nonblock)
		return -EAGAIN;
	ms = patience(c->conn, events == POLLOUT ? SO_SNDTIMEO : SO_RCVTIMEO);
	if (conn_pending(c))
		p.events |= POLLOUT;
	if (c->bell >= 0) {
		struct epoll_event conn = { .events = (uint32_t)p.events }; /* POLLIN is EPOLLIN */

		if (c->epoll < 0 && (n = listen_to_bell(c)) < 0)
			return n;
		if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->conn, &conn) < 0)
			return -errno;
		n = epoll_wait(c->epoll, &conn, 1, ms);
	} else {
		n = poll(&p, 1, ms);
	}
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -EAGAIN;
}

/* Gives back the pages of an empty log, but for the first: an idle session is to cost little. */
static void give_back(struct cbox *c)
{
	if (c->touched <= PAGE || c->up.lsr != c->up.end)
		return;
	c->touched = PAGE;
	madvise(c->log.data + PAGE, c->log.len - PAGE, MADV_REMOVE); /* an arena may not give any back */
}

/* From the log, or straight into it: what the kernel has counted as read is
 * there even if this process does not live to see the call return. */
static ssize_t read_once(struct cbox *c, void *buf, size_t len)
{
	uint64_t n = reader_logged(&c->up, len);
	uint8_t *room;
	ssize_t k;

	if (n) {
		ring_take(&c->log, c->up.pos, buf, n);
		c->up.pos += n;
		return (ssize_t)n;
	}
	if (c->up.end - c->up.lsr == c->log.len)
		return -CBOX_ELOGFULL;
	if (conn_pending(c) && (k = conn_send(c)) < 0 && k != -EAGAIN)
		return k;
	n = least(len, c->log.len - (c->up.end - c->up.lsr));
	room = ring_at(&c->log, c->up.end, &n);
	do
		k = recv(c->conn, room, n, MSG_DONTWAIT);
	while (k < 0 && errno == EINTR);
	if (k < 0) {
		int err = errno;

		if (err == EAGAIN)
			give_back(c);
		return -err;
	}
	memcpy(buf, room, (size_t)k);
	c->up.end += (uint64_t)k;
	c->up.pos += (uint64_t)k;
	c->touched = most(c->touched, least(c->up.end - c->log.base, c->log.len));
	PUT(&c->h->read, c->up.end);
	return k;
}

ssize_t cbox_read(struct cbox *c, void *buf, size_t len)
{
	ssize_t n = -EBADF;
	int err;

	while (len && c->conn >= 0) {
		n = box_begin(c);
		if (n < 0)
			break;
		n = read_once(c, buf, len);
		box_leave(c);
		if (n != -EAGAIN)
			break;
		err = wait_for(c, POLLIN);
		if (err)
			return err;
	}
	return len || c->conn < 0 ? n : 0;
}

/* Writes what goes the same way. */
static ssize_t write_some(struct cbox *c, const uint8_t *p, size_t len)
{
	uint64_t n = writer_swallow(&c->down, len);
	ssize_t k;

	if (n) {
		writer_write(&c->down, n);
		return (ssize_t)n;
	}
	if (writer_holds(&c->down)) {
		n = least(len, c->hold.len - (c->down.pos - c->down.head));
		if (!n)
			return -CBOX_ELOGFULL;
		ring_put(&c->hold, c->down.pos, p, n);
		writer_write(&c->down, n);
		return (ssize_t)n;
	}
	k = to_socket(c, p, len);
	if (k > 0) {
		writer_write(&c->down, (uint64_t)k);
		PUT(&c->h->written, c->down.head);
	}
	return k;
}

static int write_once(struct cbox *c, const uint8_t *p, size_t len, size_t *done)
{
	ssize_t n;
	int err;

	if (c->ended && *done < len)
		return -EPIPE;
	err = conn_send(c);
	while (!err && *done < len) {
		n = write_some(c, p + *done, len - *done);
		if (n < 0)
			err = (int)n;
		else
			*done += (size_t)n;
	}
	/* The client may be waiting for us to read. */
	return err == -EAGAIN && reader_crowded(&c->up, c->log.len) ? -CBOX_ELOGFULL : err;
}

ssize_t cbox_write(struct cbox *c, const void *buf, size_t len)
{
	size_t done = 0;
	int err = -EBADF;

	while (c->conn >= 0) {
		err = box_begin(c);
		if (err)
			break;
		err = write_once(c, buf, len, &done);
		box_leave(c);
		if (err != -EAGAIN)
			break;
		err = wait_for(c, POLLOUT);
		if (err)
			break;
	}
	return done || !err ? (ssize_t)done : err;
}
