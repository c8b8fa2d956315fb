/* SPDX-License-Identifier: Apache-2.0 */
/* wrong.c - what a program does wrong: each line is an error's text. */
#include <dsm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void is(const char *what, int err)
{
	printf("%s: %d %s\n", what, err, err < 0 ? dsm_error() : "");
}

static void *thread(void *arg)
{
	is("thread", dsm_barrier(1));
	return arg;
}

static int step(int k, void *arg)
{
	dsm_checkpoint();
	dsm_lock(*(int *)arg);
	return k < 2;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int locks;

	(void)argv;
	is("before", dsm_barrier(1));
	is("slice before", dsm_slice(8) ? 0 : -1);
	is("socket", dsm_join("/nowhere"));
	if (dsm_join(NULL) < 0)
		return 1;
	is("twice", dsm_join(NULL));
	locks = dsm_locks(2);
	if (argc > 1) {
		is("step", dsm_run(step, &locks));
		exit(0);
	}
	is("too many", dsm_locks(100));
	is("conditions", dsm_conds(-1));
	is("full", dsm_slice((size_t)1 << 40) ? 0 : -1);
	is("reserved", dsm_lock(locks + 2));
	is("not held", dsm_unlock(locks));
	is("condition", dsm_signal(0));
	is("wait", dsm_wait(dsm_conds(1), locks));
	is("place", dsm_place(&t, 8, 0));
	is("node", dsm_place(&t, 8, 1));
	is("end's", dsm_barrier(0xffffffff));
	is("lock", dsm_lock(locks));
	is("again", dsm_lock(locks));
	is("late", dsm_locks(1));
	is("slice late", dsm_slice(8) ? 0 : -1);
	is("run late", dsm_run(step, NULL));
	is("free", dsm_free(&t));
	is("alloc", dsm_alloc((size_t)1 << 40) ? 0 : -1);
	is("wild free", dsm_free((char *)dsm_alloc(100) + 4096));
	is("inner free", dsm_free((char *)dsm_alloc(100) + 12));
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	is("refused", dsm_barrier(3));
	return 0;
}
