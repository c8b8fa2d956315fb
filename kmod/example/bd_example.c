// SPDX-License-Identifier: GPL-2.0
/*
 * bd_example.ko - a subsystem that takes part in monitoring: a worker that
 * proves that it lives, a queue with a maximum, and an event that should be
 * rare. Load it after backdoor.ko and watch `bdctl watch`.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/workqueue.h>
#include "bd_sensor.h"

static struct bd_sensor *progress, *depth, *full;
static struct delayed_work work;
static u64 rounds;

static void worker(struct work_struct *unused)
{
	u64 queued = rounds % 12;

	bd_set_sensor_value(progress, ++rounds);
	bd_set_sensor_value(depth, queued);
	if (queued == 11)
		bd_add_sensor_value(full, 1);
	schedule_delayed_work(&work, HZ / 10);
}

static int __init example_init(void)
{
	/* the contract: a round each second at most, ten in the queue */
	progress = bd_new_sensor(BD_SENSOR_ID_MODULES, BD_PROGRESS, USEC_PER_SEC,
				 0, "EXAMPLE_ROUNDS", "rounds");
	depth = bd_new_sensor(BD_SENSOR_ID_MODULES + 1, BD_LEVEL, 10, 0,
			      "EXAMPLE_QUEUE", "items");
	full = bd_new_sensor(BD_SENSOR_ID_MODULES + 2, BD_PRESSURE, 100, 0,
			     "EXAMPLE_FULL", "events");
	if (IS_ERR(progress) || IS_ERR(depth) || IS_ERR(full))
		goto err_sensors;
	INIT_DELAYED_WORK(&work, worker);
	schedule_delayed_work(&work, 0);
	return 0;

err_sensors:
	bd_release_sensor(full);
	bd_release_sensor(depth);
	bd_release_sensor(progress);
	return -ENOSPC;
}

static void __exit example_exit(void)
{
	cancel_delayed_work_sync(&work);
	bd_release_sensor(full);
	bd_release_sensor(depth);
	bd_release_sensor(progress);
}

module_init(example_init);
module_exit(example_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("example user of the Sensor Box");
