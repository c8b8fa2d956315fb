/* SPDX-License-Identifier: Apache-2.0 */
/* pass.c - a slot goes to another process: one message over a unix socket. */
#include "fds.h"
#include "impl.h"

int cbox_pass(int sock, const struct cbox *c, uint32_t slot)
{
	struct bd_cbox_pass p = { .magic = BD_CBOX_PASS_MAGIC, .offset = c->where.offset, .length = c->where.length,
				  .generation = c->fixed.generation, .slot = slot };
	int fds[2] = { c->where.fd, c->conn };

	if (slot == 0 && c->conn < 0)
		return -EBADF;
	p.flags = slot == 0 ? BD_CBOX_PASS_CONN : 0;
	memcpy(p.session, c->fixed.session, sizeof(p.session));
	return send_fds(sock, &p, sizeof(p), fds, slot == 0 ? 2 : 1);
}

/* p is what the message says, also if the slot cannot be had; magic 0: it says nothing. */
struct cbox *pass_take(int sock, struct bd_cbox_pass *p, int *err)
{
	struct cbox_region r;
	struct cbox *c = NULL;
	int fds[FDS_MAX];
	unsigned n;

	memset(p, 0, sizeof(*p));
	*err = recv_fds(sock, p, sizeof(*p), fds, &n);
	if (p->magic != BD_CBOX_PASS_MAGIC)
		p->magic = 0;
	if (*err)
		return NULL;
	*err = -EBADMSG;
	if (p->magic && n == (p->flags & BD_CBOX_PASS_CONN ? 2u : 1u) && (n == 2) == (p->slot == 0)) {
		r = (struct cbox_region){ fds[0], p->offset, p->length };
		c = n == 2 ? cbox_resume(&r, fds[1], err) : cbox_open(&r, p->slot, err);
	}
	if (!c)
		close_fds(fds, n);
	return c;
}

struct cbox *cbox_take(int sock, int *err)
{
	struct bd_cbox_pass p;

	return pass_take(sock, &p, err);
}
