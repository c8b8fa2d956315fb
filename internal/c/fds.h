/* SPDX-License-Identifier: Apache-2.0 */
/* fds.h - messages with descriptors over unix sockets, for the C libraries. */
#ifndef LAZYSTATE_FDS_H
#define LAZYSTATE_FDS_H

#include <stddef.h>

#define FDS_MAX	4

/* One message with n descriptors. */
int send_fds(int sock, const void *p, size_t len, const int *fds, unsigned n);
/* One message of len bytes; *n descriptors, at most FDS_MAX, which are the caller's. */
int recv_fds(int sock, void *p, size_t len, int *fds, unsigned *n);
/* Those that are negative are none. */
void close_fds(const int *fds, unsigned n);

#endif
