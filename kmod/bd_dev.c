// SPDX-License-Identifier: GPL-2.0
/*
 * bd_dev.c - /dev/backdoor: sensors and continuation boxes for whoever may open
 * it, keys and foreign words for CAP_SYS_ADMIN. Version first, reserved fields
 * are zero.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "bd.h"
#include "bd_arena.h"
#include "bd_compat.h"
#include "bd_user.h"

static int dev_open(struct inode *inode, struct file *file)
{
	struct bd_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (!user)
		return -ENOMEM;
	user->uid = from_kuid(&init_user_ns, file->f_cred->euid);
	user->page = -1;
	file->private_data = user;
	return 0;
}

static int dev_release(struct inode *inode, struct file *file)
{
	bd_box_close(file->private_data);
	bd_user_close(file->private_data);
	kfree(file->private_data);
	return 0;
}

static int dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long pfn;
	int err;

	if (vma->vm_pgoff >= BD_BOX_OFFSET >> PAGE_SHIFT)
		return bd_box_mmap(file->private_data, vma);
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC)
		return -EINVAL;
	err = bd_user_page(file->private_data, &pfn);
	if (err)
		return err;
	/* a child that lives on must not keep a dead daemon's page owned */
	bd_vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	return remap_pfn_range(vma, vma->vm_start, pfn, PAGE_SIZE, vma->vm_page_prot);
}

static long ioc_version(void __user *arg)
{
	struct bd_ioc_version v = {
		.major = BD_VERSION_MAJOR,
		.minor = BD_VERSION_MINOR,
		.generation = bd_generation,
	};

	memcpy(v.boot_id, bd_boot_id, sizeof(v.boot_id));
	return copy_to_user(arg, &v, sizeof(v)) ? -EFAULT : 0;
}

static long ioc_sensor(struct bd_user *user, void __user *arg,
		       int (*fn)(struct bd_user *, struct bd_ioc_sensor *))
{
	struct bd_ioc_sensor req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.version != BD_VERSION_MAJOR)
		return -EPROTO;
	/* who watches the machine's user space is the operator's business */
	if (req.flags & BD_SENSOR_HEARTBEAT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = fn(user, &req);
	if (err)
		return err;
	return copy_to_user(arg, &req, sizeof(req)) ? -EFAULT : 0;
}

static long ioc_release(struct bd_user *user, void __user *arg)
{
	u32 id;

	if (copy_from_user(&id, arg, sizeof(id)))
		return -EFAULT;
	return bd_user_release(user, id, capable(CAP_SYS_ADMIN));
}

static long ioc_key(void __user *arg)
{
	struct bd_ioc_key req;
	long err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.version != BD_VERSION_MAJOR)
		err = -EPROTO;
	else if (req.reserved || req.revoke > 1 || req.monitor >= BD_MONITORS)
		err = -EINVAL;
	else
		err = bd_key_set(req.monitor, req.key, req.revoke);
	memzero_explicit(&req, sizeof(req));
	return err;
}

static long ioc_foreign(void __user *arg)
{
	struct bd_ioc_foreign req;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.version != BD_VERSION_MAJOR)
		return -EPROTO;
	return req.reserved ? -EINVAL : bd_foreign_add(&req.word);
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case BD_IOC_VERSION:
		return ioc_version(p);
	case BD_IOC_NEW_SENSOR:
		return ioc_sensor(file->private_data, p, bd_user_new);
	case BD_IOC_ADOPT_SENSOR:
		return ioc_sensor(file->private_data, p, bd_user_adopt);
	case BD_IOC_RELEASE_SENSOR:
		return ioc_release(file->private_data, p);
	case BD_IOC_SET_KEY:
		return ioc_key(p);
	case BD_IOC_ADD_FOREIGN:
		return ioc_foreign(p);
	case BD_IOC_SET_POLICY:
	case BD_IOC_SET_AGREEMENT:
	case BD_IOC_SEAL:
		return bd_policy_ioctl(cmd, p);
	case BD_IOC_NEW_BOX:
	case BD_IOC_BOX_SOCKET:
	case BD_IOC_GET_BOX:
		return bd_box_ioctl(file->private_data, cmd, p);
	}
	return -ENOTTY;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.mmap = dev_mmap,
	.unlocked_ioctl = dev_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "backdoor",
	.fops = &dev_fops,
	.mode = 0660,
};

int bd_dev_init(void)
{
	int err = bd_user_init();

	if (err)
		return err;
	err = bd_box_init();
	if (err)
		goto err_user;
	err = misc_register(&dev);
	if (err)
		goto err_box;
	return 0;

err_box:
	bd_box_exit();
err_user:
	bd_user_exit();
	return err;
}

void bd_dev_exit(void)
{
	misc_deregister(&dev);
	bd_box_exit();
	bd_user_exit();
}
