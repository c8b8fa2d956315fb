/* SPDX-License-Identifier: Apache-2.0 */
/* parmacs_impl.h - what the files of the ANL macros share. */
#ifndef LAZYSTATE_PARMACS_IMPL_H
#define LAZYSTATE_PARMACS_IMPL_H

struct pm {
	enum { NOTHING, MAIN, ALL, WAITED } stage;
	int output;		/* the standard output that a node has not before CREATE */
	int locks, conds;	/* the first of all there are */
	uint32_t given, *next;	/* locks that were given out in main; shared: by all */
	int barriers, private_conds;
	int taken;		/* locks that main has */
	int whole;		/* can the process be saved */
};

extern struct pm pm;

/* They end the program: with what went wrong last, if err is an error, because of why. */
void pm_die(void) __attribute__((noreturn));
void pm_must(int err);
void pm_no(const char *why) __attribute__((noreturn));

#endif
