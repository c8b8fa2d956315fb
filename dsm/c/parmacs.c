/* SPDX-License-Identifier: Apache-2.0 */
/* parmacs.c - threads of the ANL macros as nodes of the DSM (parmacs.h). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"
#include "impl.h"
#include "parmacs.h"
#include "parmacs_impl.h"

/* Barriers of our own; a program's are numbered from 0. */
#define CREATED	0xfffffffeU
#define OVER	0xfffffffdU

struct pm pm;

void pm_die(void)
{
	fflush(stdout);
	fprintf(stderr, "dsm: node %d: %s\n", dsm_node(), dsm_error());
	exit(1);
}

void pm_must(int err)
{
	if (err < 0)
		pm_die();
}

void pm_no(const char *why)
{
	fail(-EINVAL, "%s", why);
	pm_die();
}

/* A program that returns from main or exits well has ended as with MAIN_END. */
static void at_exit(int status, void *unused)
{
	(void)unused;
	if (status == 0 && pm.stage > MAIN && self.stage == IN)
		pm_must(dsm_end());
}

/* Nobody is to read what main writes at all nodes. */
static void hide_output(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stdout);
	pm.output = fcntl(1, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || pm.output < 0 || dup2(null, 1) < 0) {
		fail(-errno, "hide the standard output: %s", strerror(errno));
		pm_die();
	}
	close(null);
}

static void show_output(void)
{
	fflush(stdout);
	dup2(pm.output, 1);
	close(pm.output);
}

void dsm_parmacs(void)
{
	if (pm.stage != NOTHING)
		return;
	pm.whole = same_addresses();
	pm_must(welcome(NULL));
	if (self.w.flags & BD_DSM_RESTORED)
		pm_must(attach_whole());
	pm.stage = MAIN;
	on_exit(at_exit, NULL);
	if (dsm_node() == 0) {
		pm_must(attach());
	} else {
		pm_must(map_region(1));
		hide_output();
	}
	pm_must(pm.locks = dsm_locks(self.w.locks));
	pm_must(pm.conds = dsm_conds(self.w.conds));
	pm.next = dsm_malloc(sizeof(*pm.next));
}

void dsm_create(void (*f)(void), long processes)
{
	dsm_parmacs();
	if (pm.stage != MAIN)
		pm_no("CREATE: a program has one");
	if (processes != dsm_nodes()) {
		fail(-EINVAL, "CREATE: the program has %ld processes, the DSM %d nodes", processes, dsm_nodes());
		pm_die();
	}
	if (dsm_node() > 0) {
		munmap((void *)self.w.base, self.w.bytes);
		pm_must(attach());
	}
	if (pm.taken)
		pm_no("CREATE: main has a lock");
	if (dsm_node() == 0)
		*pm.next = pm.given;
	pm.stage = ALL;
	pm_must(dsm_barrier(CREATED));
	if (dsm_node() > 0)
		show_output();
	self.whole = pm.whole;
	f();
	if (dsm_node() == 0)
		return;
	pm_must(dsm_barrier(OVER));
	exit(0);
}

void dsm_wait_for_end(long processes)
{
	(void)processes; /* programs count themselves in, or not */
	if (pm.stage != ALL)
		pm_no("WAIT_FOR_END: nothing was created");
	pm.stage = WAITED;
	pm_must(dsm_barrier(OVER));
}

void dsm_main_end(void)
{
	if (pm.stage == ALL)
		dsm_wait_for_end(0);
	exit(0);
}
