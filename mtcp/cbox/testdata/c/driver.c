/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - a process of a session that does what it is told, a line a call: see script_test.go. */
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "cbox.h"

static struct cbox *c;

static void say(ssize_t err)
{
	static const struct { int err; const char *name; } names[] = {
		{ CBOX_EMIGRATED, "EMIGRATED" }, { CBOX_ELOGFULL, "ELOGFULL" }, { CBOX_EDIVERGED, "EDIVERGED" },
		{ CBOX_EDAMAGED, "EDAMAGED" }, { 32, "EPIPE" }, { 9, "EBADF" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].err == -err) {
			printf("%s", names[i].name);
			return;
		}
	printf(err < 0 ? "%s" : "ok", cbox_strerror((int)err));
}

static void show(const char *b, ssize_t n)
{
	if (n > 0)
		printf("\"%.*s\"", (int)n, b);
	else if (n == 0)
		printf("end");
	else
		say(n);
}

/* Reads until all is there, for a script that knows how much comes. */
static void read_all(size_t n, ssize_t (*read)(void *, size_t))
{
	char b[1 << 16];
	size_t got = 0;
	ssize_t k = 1;

	while (got < n && (k = read(b + got, n - got)) > 0)
		got += (size_t)k;
	if (got >= 64)
		printf("%zu bytes", got);
	else if (got || k > 0)
		show(b, (ssize_t)got);
	if (got < n) {
		printf(got ? ", then " : "");
		show(b, k);
	}
}

static void wrote(ssize_t n, size_t all)
{
	if (n == (ssize_t)all)
		printf("ok");
	else if (n >= 0)
		printf("%zd of %zu", n, all);
	else
		say(n);
}

static uint32_t slot, channel;

static ssize_t conn_read(void *b, size_t n) { return cbox_read(c, b, n); }
static ssize_t chan_read(void *b, size_t n) { return cbox_chan_read(c, slot, channel, b, n); }

static void import(void)
{
	char b[4096];
	ssize_t n = cbox_import(c, b, sizeof(b));

	if (n < 0)
		printf("none");
	else
		printf("\"%.*s\"", (int)n, b);
}

static void option(const char *arg)
{
	int on = atoi(arg);

	say(cbox_setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

static void where(void)
{
	uint64_t in, out, generation;
	uint8_t id[16];

	cbox_positions(c, &in, &out);
	cbox_session(c, id, &generation);
	printf("read %llu, written %llu, generation %llu", (unsigned long long)in, (unsigned long long)out, (unsigned long long)generation);
}

static void associate(const char *name)
{
	int err = cbox_associate(c, name, 1, &slot);

	if (err)
		say(err);
	else
		printf("slot %u", slot);
}

static void take(void)
{
	int err;

	c = cbox_take(3, &err);
	slot = BD_CBOX_NONE;
	if (c)
		printf("ok");
	else
		say(err);
}

static int done(const char *verb, const char *arg)
{
	static char many[1 << 16];

	if (!strcmp(verb, "take"))
		take();
	else if (!strcmp(verb, "import"))
		import();
	else if (!strcmp(verb, "read"))
		read_all(strtoul(arg, NULL, 10), conn_read);
	else if (!strcmp(verb, "write"))
		wrote(cbox_write(c, arg, strlen(arg)), strlen(arg));
	else if (!strcmp(verb, "fill"))
		wrote(cbox_write(c, many, strtoul(arg, NULL, 10)), strtoul(arg, NULL, 10));
	else if (!strcmp(verb, "export"))
		say(cbox_export(c, arg, strlen(arg), 0));
	else if (!strcmp(verb, "exportndi"))
		say(cbox_export(c, arg, strlen(arg), 1));
	else if (!strcmp(verb, "shutdown"))
		say(cbox_shutdown(c, *arg == 'r' ? SHUT_RD : SHUT_WR));
	else if (!strcmp(verb, "nodelay"))
		option(arg);
	else if (!strcmp(verb, "where"))
		where();
	else if (!strcmp(verb, "associate"))
		associate(arg);
	else if (!strcmp(verb, "chanread"))
		read_all(strtoul(arg, NULL, 10), chan_read);
	else if (!strcmp(verb, "chanwrite"))
		wrote(cbox_chan_write(c, slot, channel, arg, strlen(arg)), strlen(arg));
	else if (!strcmp(verb, "chanfill"))
		wrote(cbox_chan_write(c, slot, channel, many, strtoul(arg, NULL, 10)), strtoul(arg, NULL, 10));
	else if (!strcmp(verb, "chanclose"))
		say(cbox_chan_close(c, slot, channel, SHUT_WR));
	else if (!strcmp(verb, "strict")) /* read, write and exit are all that is left */
		say(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0 ? -1 : 0);
	else if (!strcmp(verb, "close"))
		say(cbox_close(c));
	else
		return 0;
	return 1;
}

int main(void)
{
	char line[1 << 13], *arg;

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		arg = strchr(line, ' ');
		if (arg)
			*arg++ = 0;
		if (!done(line, arg ? arg : ""))
			printf("unknown: %s", line);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
