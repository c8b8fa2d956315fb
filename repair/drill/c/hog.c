// SPDX-License-Identifier: Apache-2.0
/* hog.c - memory hogs under a controller that respawns them, section 3.9.5 */
#include <sys/wait.h>
#include <unistd.h>
#include "rogue.h"

/* Takes memory step by step, and keeps all of it warm as it goes. */
int hog_one(long mib, long unused)
{
	unsigned char *mem = take(mib);
	unsigned long salt = (unsigned long)getpid();

	(void)unused;
	if (!mem)
		return 1;
	for (long have = 1;; have += have < mib)
		touch(mem, (unsigned long)have << 20, salt++);
}

int hog_pool(long n, long mib)
{
	long alive = 0;

	for (;;) {
		while (alive < n) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(hog_one(mib, 0));
			if (pid < 0)
				break;
			alive++;
		}
		if (waitpid(-1, NULL, alive < n ? WNOHANG : 0) > 0)
			alive--;
		else
			nap_ms(10);
	}
}
