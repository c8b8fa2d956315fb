// SPDX-License-Identifier: Apache-2.0
/* main.c - rogue PROGRAM NUMBER [NUMBER]: for virtual machines that may be lost */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rogue.h"

static const struct {
	const char *name;
	int (*run)(long, long);
} programs[] = {
	{ "bomb-cpu", bomb_cpu }, { "bomb-io", bomb_io },
	{ "bomb-sleep", bomb_sleep }, { "bomb-short", bomb_short },
	{ "bomb-deep", bomb_deep }, { "bomb-threads", bomb_threads },
	{ "hog-pool", hog_pool }, { "hog-one", hog_one },
	{ "useful", useful }, { "burst", burst }, { "build", build },
	{ "resident", resident },
	{ "timed-loop", timed_loop }, { "timed-fork", timed_fork },
	{ "timed-exec", timed_exec }, { "timed-pipe", timed_pipe },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--anywhere")) {
		argv++;
		argc--;
	} else if (access("/etc/lab.json", F_OK)) {
		fprintf(stderr, "rogue: not in a guest of the lab; --anywhere risks this machine\n");
		return 2;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: rogue PROGRAM NUMBER [NUMBER]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if (!strcmp(argv[1], programs[i].name))
			return programs[i].run(atol(argv[2]), argc > 3 ? atol(argv[3]) : 0);
	fprintf(stderr, "rogue: no program %s\n", argv[1]);
	return 2;
}
