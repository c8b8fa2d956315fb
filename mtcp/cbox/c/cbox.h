/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cbox.h - continuation boxes for servers in C: the same boxes as package
 * mtcp/cbox of Go, whose documentation is this library's too. A session's
 * processes may be in either language.
 *
 * Calls return 0 or a count, or a negative error: -errno, or one of those below.
 * They wait where read(2) would, as long as SO_RCVTIMEO and SO_SNDTIMEO let it.
 * One thread at a time uses a struct cbox.
 *
 *	struct cbox *c = cbox_create(accept(listener, NULL, NULL), NULL, &err);
 *	ssize_t n = cbox_import(c, &state, sizeof(state));	// -ENODATA: it begins
 *	while ((n = cbox_read(c, buf, sizeof(buf))) > 0) {
 *		use(&state, buf, n);
 *		cbox_export(c, &state, sizeof(state), 0);
 *	}
 *	cbox_close(c);
 */
#ifndef LAZYSTATE_CBOX_H
#define LAZYSTATE_CBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "uapi/cbox.h"
#include "uapi/scd.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CBOX_EMIGRATED	1001	/* the session is elsewhere, or another process has it */
#define CBOX_ELOGFULL	1002	/* export a snapshot, and call again */
#define CBOX_EDIVERGED	1003	/* the replay does not repeat what was done before */
#define CBOX_EDAMAGED	1004	/* the box says what no sound box says */
#define CBOX_ENOTMOVABLE 1005	/* MPTCP, kTLS, TCP-AO, urgent data, a socket filter */

struct cbox;
struct cbox_keeper;

/* Sizes in bytes, 0: the default. Rings are rounded up to powers of two. */
struct cbox_config {
	uint32_t snapshot;
	uint32_t log;
	uint32_t hold;
	uint32_t ring;
	uint32_t processes;
	uint32_t channels;	/* each is two rings */
	const char *name;	/* of the root: who says it at a keeper takes it over */
	struct cbox_keeper *keeper;	/* who outlives this process; outlives the boxes here */
};

/* Where a box lies: length bytes at offset of a descriptor. */
struct cbox_region {
	int fd;
	uint64_t offset;
	uint64_t length;
};

/*
 * create_sc: conn was accepted, and nothing has been read or written. What makes
 * a struct cbox owns the descriptors that it was given from then on; if it
 * returns NULL, they stay the caller's.
 */
struct cbox *cbox_create(int conn, const struct cbox_config *cfg, int *err);
/* Goes on with a session: conn is the socket of the process before. */
struct cbox *cbox_resume(const struct cbox_region *r, int conn, int *err);
/* open_sc: takes over a slot other than the root's. */
struct cbox *cbox_open(const struct cbox_region *r, uint32_t slot, int *err);
/*
 * Ends this process's part, as an export does; the root's ends the session. It
 * waits until what was held is with TCP, or leaves that to the keeper. Whatever
 * it returns but -EAGAIN (cbox_nonblock), c is gone.
 */
int cbox_close(struct cbox *c);
/* Lets go of it without a word, as a process that dies; a keeper waits for that death. */
void cbox_abandon(struct cbox *c);

const struct cbox_region *cbox_where(const struct cbox *c);
void cbox_session(const struct cbox *c, uint8_t id[16], uint64_t *generation);
/* How far the application has come in what the client sends, and in what it is sent. */
void cbox_positions(const struct cbox *c, uint64_t *read, uint64_t *written);
uint32_t cbox_slot(const struct cbox *c);
/* The connection's descriptor, to poll; -1 for others than the root. */
int cbox_conn(const struct cbox *c);
/*
 * Reads and writes return -EAGAIN rather than wait. O_NONBLOCK of the socket does
 * not count: it is that of whichever process had it last.
 */
void cbox_nonblock(struct cbox *c, int on);
/* An eventfd of the caller's that is written to after a move: it wakes calls that wait. */
void cbox_bell(struct cbox *c, int fd);

/* export_state, lazily: no system call. ndi: a nondeterministic interval begins. */
int cbox_export(struct cbox *c, const void *state, size_t len, int ndi);
/* The same for a state that is made in the box: at most *room bytes. */
void *cbox_buffer(struct cbox *c, size_t *room);
int cbox_commit(struct cbox *c, size_t len, int ndi);
/* import_state: the length of the state, of which at most len bytes are copied; or -ENODATA. */
ssize_t cbox_import(const struct cbox *c, void *state, size_t len);

ssize_t cbox_read(struct cbox *c, void *buf, size_t len);
/*
 * Writes all, or returns how much if an error came after some of it. With no
 * bytes it sends what exports have released: a server that polls calls it when
 * the connection takes more, until it returns 0.
 */
ssize_t cbox_write(struct cbox *c, const void *buf, size_t len);
int cbox_shutdown(struct cbox *c, int how);	/* SHUT_RD, SHUT_WR, SHUT_RDWR */
int cbox_setsockopt(struct cbox *c, int level, int name, const void *value, size_t len);

/* associate: a process below this one, and channels to it; idempotent by name. */
int cbox_associate(struct cbox *c, const char *name, unsigned channels, uint32_t *slot);
/* Channel i to a child (its slot) or to the parent (BD_CBOX_NONE). */
ssize_t cbox_chan_read(struct cbox *c, uint32_t slot, unsigned i, void *buf, size_t len);
ssize_t cbox_chan_write(struct cbox *c, uint32_t slot, unsigned i, const void *buf, size_t len);
int cbox_chan_close(struct cbox *c, uint32_t slot, unsigned i, int how);

/* Hands slot to the process at the other end of a unix socket; the root's with its connection. */
int cbox_pass(int sock, const struct cbox *c, uint32_t slot);
/* Receives a slot and opens it. -EPIPE: the other end has closed. */
struct cbox *cbox_take(int sock, int *err);

/*
 * The keeper (scd) at a unix socket: it holds boxes and connections, and hands
 * them to another process of the same name and user when this one dies. Its bell
 * wakes whoever sleeps in a session that has moved. Any thread may use it.
 */
struct cbox_keeper *cbox_keeper_dial(const char *path, const char *name, int *err);
void cbox_keeper_close(struct cbox_keeper *k);
/* The limit that this thread's last request was refused for, "at most 3 sessions of one user"; or "". */
const char *cbox_keeper_refusal(void);
/* Readable when a session waits to be taken. */
int cbox_keeper_fd(const struct cbox_keeper *k);
/*
 * As cbox_take, of what the keeper hands over. -EPIPE: it has gone; redial. After
 * another error call again: one session could not go on, and its client has been told.
 */
struct cbox *cbox_keeper_take(struct cbox_keeper *k, int *err);
/*
 * Finds a keeper that was started anew, and tells it of the sessions here, which
 * went on meanwhile, and of the listening sockets. 0, or try later.
 */
int cbox_keeper_redial(struct cbox_keeper *k);
/* Has a child's slot opened by a process that serves its name. */
int cbox_keeper_hand(struct cbox_keeper *k, const struct cbox *c, uint32_t slot);
/*
 * Has a socket that is bound outlive this process, and all connections in its queue;
 * then it listens. A backlog of its own it has by listen(), afterwards: who is in the
 * queue of one that listened before may be lost if the process dies in between.
 */
int cbox_keeper_listen(struct cbox_keeper *k, int listener);
/* The listening socket that processes of this name had, bound to that port; or -ENOENT. */
int cbox_keeper_listener(struct cbox_keeper *k, uint16_t port);

const char *cbox_strerror(int err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
