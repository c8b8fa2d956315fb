/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.c - takes one box after the other, does all there is to do with it, and
 * says that it has survived. The boxes are damaged, and some change meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cbox.h"

static void channels(struct cbox *c, uint32_t slot)
{
	char b[1000] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		cbox_chan_read(c, slot, i, b, 10);
		cbox_chan_write(c, slot, i, b, sizeof(b));
		cbox_export(c, b, 30, 0);
		cbox_chan_read(c, slot, i, b, sizeof(b));
		cbox_chan_close(c, slot, i, SHUT_RDWR);
	}
}

static void everything(struct cbox *c)
{
	char b[1000] = { 0 };
	uint32_t slot = 0;
	size_t room;
	char *state;
	int on = 1;

	cbox_nonblock(c, 1);
	cbox_import(c, b, sizeof(b));
	cbox_read(c, b, sizeof(b));
	cbox_write(c, b, 10);
	cbox_export(c, b, 20, 1);
	cbox_write(c, b, sizeof(b));
	channels(c, BD_CBOX_NONE);
	if (cbox_associate(c, "back end", 1, &slot) == 0)
		channels(c, slot);
	cbox_associate(c, "more", 1, &slot);
	cbox_setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	state = cbox_buffer(c, &room);
	memset(state, 'x', room);
	cbox_commit(c, room, 0);
	cbox_commit(c, (size_t)-1, 0);
	cbox_write(c, b, sizeof(b));
}

int main(void)
{
	struct cbox *c;
	int err;

	for (;;) {
		c = cbox_take(3, &err);
		if (!c && err == -EPIPE)
			return 0;
		if (c) {
			everything(c);
			if (cbox_conn(c) >= 0 || cbox_close(c) == -EAGAIN)
				cbox_abandon(c); /* the connection is used again */
		}
		if (send(3, c ? "y" : "n", 1, MSG_NOSIGNAL) != 1)
			return 1;
	}
}
