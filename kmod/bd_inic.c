// SPDX-License-Identifier: GPL-2.0
/*
 * bd_inic.c - the emulated intelligent NIC: a host process that maps this
 * guest's RAM. All it needs from us is the root record, in the register BAR
 * of an ivshmem-plain device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/io.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/reboot.h>
#include "bd.h"

#define IVSHMEM_VENDOR	0x1af4
#define IVSHMEM_DEVICE	0x1110
#define IVSHMEM_BAR	2
/* A monitor looks at the root before each batch: the one under way may end. */
#define SETTLE_MS	50
/* Behind the root: words of the device that a monitor may use (kind DEVICE). */
#define DEVICE_OFFSET	4096

static struct pci_dev *pdev;
static struct bd_root *bar;
static struct bd_region *device_region;

static void inic_withdraw(void)
{
	/* The magic stays: withdrawn is not the same as never there. */
	WRITE_ONCE(bar->generation, 0);
	smp_wmb();	/* before anything that was exported is freed */
	msleep(SETTLE_MS);
}

/*
 * The BAR outlives the kernel. Where another one follows without a reset
 * (kexec) the addresses in an old root would be the new kernel's memory, to
 * which monitors write.
 */
static int on_reboot(struct notifier_block *nb, unsigned long how, void *cmd)
{
	inic_withdraw();
	return NOTIFY_DONE;
}

/* Last of all, for who is called before may still take long, or hang. */
static struct notifier_block reboot_block = { .notifier_call = on_reboot, .priority = INT_MIN };

static int inic_start(void)
{
	resource_size_t at, len;
	int err;

	pdev = pci_get_device(IVSHMEM_VENDOR, IVSHMEM_DEVICE, NULL);
	if (!pdev)
		return -ENODEV;
	err = pci_enable_device(pdev);
	if (err)
		goto err_put;
	at = pci_resource_start(pdev, IVSHMEM_BAR);
	len = pci_resource_len(pdev, IVSHMEM_BAR);
	err = -ENODEV;
	if (len < 2 * DEVICE_OFFSET)
		goto err_disable;
	err = -ENOMEM;
	bar = memremap(at, len, MEMREMAP_WB);
	if (!bar)
		goto err_disable;
	err = bd_region_add_phys("bar", BD_KIND_DEVICE, BD_PERM_READ,
				 DEVICE_OFFSET, DEVICE_OFFSET,
				 len - DEVICE_OFFSET,
				 BD_REGION_MMIO | BD_REGION_BAR,
				 &device_region);
	if (err)
		goto err_unmap;
	register_reboot_notifier(&reboot_block);
	pr_info("I-NIC at %s, BAR %pa + %pa\n", pci_name(pdev), &at, &len);
	return 0;

err_unmap:
	memunmap(bar);
err_disable:
	pci_disable_device(pdev);
err_put:
	pci_dev_put(pdev);
	pdev = NULL;
	return err;
}

static void inic_publish(void)
{
	struct bd_root root;

	bd_region_root(&root);
	WRITE_ONCE(bar->magic, 0);
	smp_wmb();	/* no magic while the body changes */
	memcpy((u8 *)bar + sizeof(bar->magic), (u8 *)&root + sizeof(root.magic),
	       sizeof(root) - sizeof(root.magic));
	smp_store_release(&bar->magic, root.magic);	/* magic last */
}

static void inic_stop(void)
{
	unregister_reboot_notifier(&reboot_block);
	bd_region_del(device_region);
	memunmap(bar);
	pci_disable_device(pdev);
	pci_dev_put(pdev);
	pdev = NULL;
}

struct bd_backend bd_inic_backend = {
	.name = "inic",
	.start = inic_start,
	.publish = inic_publish,
	.withdraw = inic_withdraw,
	.stop = inic_stop,
};
