/* SPDX-License-Identifier: Apache-2.0 */
/* maps.c - what is mapped, and that it is so at the same addresses again. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <unistd.h>

#include "image.h"
#include "impl.h"

static uint64_t number(const char **p, int base)
{
	uint64_t v = 0;

	for (;; (*p)++) {
		int c = **p, d = c >= '0' && c <= '9' ? c - '0' : base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (d < 0)
			return v;
		v = v * base + d;
	}
}

/* from-to rwxp offset device inode  path */
static int parse(const char *p, struct mapping *m)
{
	memset(m, 0, sizeof(*m));
	m->from = number(&p, 16);
	p++;
	m->to = number(&p, 16);
	m->read = p[1] == 'r';
	m->write = p[2] == 'w';
	m->exec = p[3] == 'x';
	m->shared = p[4] == 's';
	p += 6;
	m->offset = number(&p, 16);
	for (p++; *p && *p != ' '; p++)
		;
	p++;
	m->inode = number(&p, 10);
	while (*p == ' ')
		p++;
	if (strlen(p) >= sizeof(m->path))
		return fail(-ENAMETOOLONG, "the image of this process: %s is mapped, its name is too long", p);
	strcpy(m->path, p);
	return 0;
}

int read_map(struct map *map)
{
	static char text[64 << 10];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return fail(-errno, "/proc/self/maps: %s", strerror(errno));
	while ((n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += n;
	close(fd);
	if (n < 0 || have == sizeof(text) - 1)
		return fail(-EFBIG, "/proc/self/maps is longer than %zu bytes", have);
	text[have] = 0;
	map->n = 0;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (map->n == MAPPINGS)
			return fail(-EFBIG, "the image of this process: more than %d mappings", MAPPINGS);
		if (parse(line, &map->m[map->n++]) < 0)
			return -ENAMETOOLONG;
	}
	return 0;
}

/* The kernel chooses addresses at random; a process that is restored has no choice. */
int same_addresses(void)
{
	static char arguments[64 << 10];
	char *argv[1024];
	size_t have = 0;
	int now = personality(0xffffffff), fd, n = 0;
	ssize_t got = 0;

	if (now >= 0 && now & ADDR_NO_RANDOMIZE)
		return 1;
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = read(fd, arguments + have, sizeof(arguments) - have)) > 0)
		have += got;
	if (fd >= 0)
		close(fd);
	if (now < 0 || fd < 0 || got < 0 || have == sizeof(arguments))
		return 0;
	for (char *p = arguments; p < arguments + have && n < 1023; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	if (personality(now | ADDR_NO_RANDOMIZE) >= 0)
		execve("/proc/self/exe", argv, environ);
	return 0;
}
