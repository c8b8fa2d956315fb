// SPDX-License-Identifier: GPL-2.0
/*
 * bd_backend.c - the seam to the carriers: the I-NIC here, RDMA in a module
 * of its own (backdoor_rdma.ko), so that this one has no ib symbol.
 */
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include "bd.h"

static LIST_HEAD(backends);
static DEFINE_MUTEX(backends_lock);

/**
 * bd_backend_register() - start a carrier and publish the regions through it
 * @backend: stays the caller's
 */
int bd_backend_register(struct bd_backend *backend)
{
	int err = backend->start();

	if (err)
		return err;
	mutex_lock(&backends_lock);
	list_add(&backend->list, &backends);
	backend->publish();
	mutex_unlock(&backends_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(bd_backend_register);

/**
 * bd_backend_unregister() - withdraw and stop a carrier
 * @backend: registered or not
 */
void bd_backend_unregister(struct bd_backend *backend)
{
	if (!backend->list.next)
		return;
	mutex_lock(&backends_lock);
	backend->withdraw();
	list_del(&backend->list);
	backend->list.next = NULL;
	mutex_unlock(&backends_lock);
	backend->stop();
}
EXPORT_SYMBOL_GPL(bd_backend_unregister);

/** bd_backend_publish() - tell every carrier that the table changed */
void bd_backend_publish(void)
{
	struct bd_backend *b;

	mutex_lock(&backends_lock);
	list_for_each_entry(b, &backends, list)
		b->publish();
	mutex_unlock(&backends_lock);
}

/**
 * bd_backend_monitor() - tell every carrier that a monitor's rights changed
 * @monitor: slot
 */
void bd_backend_monitor(u32 monitor)
{
	struct bd_backend *b;

	mutex_lock(&backends_lock);
	list_for_each_entry(b, &backends, list)
		if (b->monitor)
			b->monitor(monitor);
	mutex_unlock(&backends_lock);
}
