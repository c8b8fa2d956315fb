/* SPDX-License-Identifier: GPL-2.0 */
/* bd_user.h - what an open file of /dev/backdoor has: a page of sensors, a box. */
#ifndef BD_USER_H
#define BD_USER_H

#include <linux/types.h>
#include "uapi/backdoor.h"

/* What an open file of /dev/backdoor owns. */
struct bd_user {
	u32 uid;
	int page;	/* of the region, -1: none yet */
	struct bd_file_box *box;	/* bd_arena.h; NULL: none yet; stays until the file closes */
};

int bd_user_init(void);
void bd_user_exit(void);
int bd_user_page(struct bd_user *user, unsigned long *pfn);
int bd_user_new(struct bd_user *user, struct bd_ioc_sensor *req);
int bd_user_adopt(struct bd_user *user, struct bd_ioc_sensor *req);
int bd_user_release(struct bd_user *user, u32 id, bool any);
void bd_user_close(struct bd_user *user);

int bd_foreign_add(const struct bd_foreign *word);

#endif
