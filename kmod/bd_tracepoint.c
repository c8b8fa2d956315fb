// SPDX-License-Identifier: GPL-2.0
/*
 * bd_tracepoint.c - probes on tracepoints that are not exported. A module may
 * still walk all of them and recognise one by its name.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include "bd_builtin.h"

static void match(struct tracepoint *tp, void *priv)
{
	struct bd_hook *hook = priv;

	if (!strcmp(tp->name, hook->name))
		hook->tp = tp;
}

/**
 * bd_hook_attach() - find a tracepoint by name and put a probe on it
 * @hook: name and probe are set; the probe gets NULL as its data
 *
 * Return: 0, -ENOENT where the kernel has no such tracepoint, or the error of
 * tracepoint_probe_register().
 */
int bd_hook_attach(struct bd_hook *hook)
{
	int err;

	for_each_kernel_tracepoint(match, hook);
	if (!hook->tp)
		return -ENOENT;
	err = tracepoint_probe_register(hook->tp, hook->probe, NULL);
	if (err)
		hook->tp = NULL;
	return err;
}

/**
 * bd_hook_detach() - take the probe off and wait until no CPU is inside it
 * @hook: attached or not
 */
void bd_hook_detach(struct bd_hook *hook)
{
	if (!hook->tp)
		return;
	tracepoint_probe_unregister(hook->tp, hook->probe, NULL);
	tracepoint_synchronize_unregister();
	hook->tp = NULL;
}
