// SPDX-License-Identifier: GPL-2.0
/*
 * backdoor.ko - a kernel that lets a monitor read, freeze and repair it
 * without its CPUs. Here: parameters, the order of birth and of death.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/random.h>
#include "bd.h"

#ifdef CONFIG_PREEMPT_RT
#error "PREEMPT_RT is not supported: the poller must run in hard interrupt context"
#endif

u8 bd_boot_id[16];
EXPORT_SYMBOL_GPL(bd_boot_id);
u64 bd_generation;

bool bd_allow_repair;
module_param_named(allow_repair, bd_allow_repair, bool, 0444);
MODULE_PARM_DESC(allow_repair, "export lock and hook requests writable (bool, default 0)");

bool bd_allow_fence;
module_param_named(allow_fence, bd_allow_fence, bool, 0444);
MODULE_PARM_DESC(allow_fence, "export the fence writable (bool, default 0)");

bool bd_export_memory = true;
module_param_named(export_memory, bd_export_memory, bool, 0444);
MODULE_PARM_DESC(export_memory, "export the direct map read-only (bool, default 1)");

uint bd_nic_cpu;
EXPORT_SYMBOL_GPL(bd_nic_cpu);
module_param_named(nic_cpu, bd_nic_cpu, uint, 0444);
MODULE_PARM_DESC(nic_cpu, "CPU that polls each millisecond, the others each 10 ms (CPU number, default 0)");

bool bd_pin_workers;
EXPORT_SYMBOL_GPL(bd_pin_workers);
module_param_named(pin_workers, bd_pin_workers, bool, 0600);
MODULE_PARM_DESC(pin_workers, "for RDMA in software: workers of no CPU's own stay on nic_cpu, which the lock leaves running (bool, default 0)");

static bool inic = true;
module_param(inic, bool, 0444);
MODULE_PARM_DESC(inic, "publish the regions through an ivshmem device, if there is one (bool, default 1)");

static bool selftest;
module_param(selftest, bool, 0444);
MODULE_PARM_DESC(selftest, "run self-tests at load, a failure fails the load (bool, default 0)");

static const struct bd_part {
	const char *name;
	int (*init)(void);
	void (*exit)(void);
} parts[] = {
	{ "keys", bd_auth_init, bd_auth_exit },
	{ "policy", bd_policy_init, bd_policy_exit },
	{ "regions", bd_region_init, bd_region_exit },
	{ "manifest", bd_manifest_init, bd_manifest_exit },
	{ "panic stamp", bd_panic_init, bd_panic_exit },
	{ "crash kernel", bd_kdump_init, bd_kdump_exit },
	{ "freeze", bd_freeze_init, bd_freeze_exit },
	{ "lock", bd_lock_init, bd_lock_exit },
	{ "kill hooks", bd_kill_init, bd_kill_exit },
	{ "knob hooks", bd_knob_init, bd_knob_exit },
	{ "ownership", bd_owner_init, bd_owner_exit },
	{ "proposals", bd_propose_init, bd_propose_exit },
	{ "sensors", bd_sensor_init, bd_sensor_exit },
	{ "foreign words", bd_foreign_init, bd_foreign_exit },
	{ "device", bd_dev_init, bd_dev_exit },
	{ "sysfs", bd_sysfs_init, bd_sysfs_exit },
	{ "poller", bd_poll_init, bd_poll_exit },
};

static void parts_exit(int n)
{
	while (n-- > 0)
		parts[n].exit();
}

static int __init bd_init(void)
{
	int i, err;

	get_random_bytes(bd_boot_id, sizeof(bd_boot_id));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		err = parts[i].init();
		if (err) {
			pr_err("%s: error %d\n", parts[i].name, err);
			goto err_parts;
		}
	}
	if (selftest) {
		err = bd_selftest();
		if (err)
			goto err_parts;
	}
	err = inic ? bd_backend_register(&bd_inic_backend) : 0;
	if (err && err != -ENODEV)
		goto err_parts;
	pr_info("boot id %*phN, repair %s, fence %s\n", 16, bd_boot_id,
		bd_allow_repair ? "allowed" : "refused",
		bd_allow_fence ? "allowed" : "refused");
	return 0;

err_parts:
	parts_exit(i);
	return err;
}

static void __exit bd_exit(void)
{
	bd_backend_unregister(&bd_inic_backend);
	parts_exit(ARRAY_SIZE(parts));
}

module_init(bd_init);
module_exit(bd_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("remote monitoring, freezing and repair of this kernel (Backdoors)");
MODULE_VERSION("1.0");
