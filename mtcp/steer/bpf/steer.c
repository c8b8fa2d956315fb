//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* All programs in one object; the loader takes what it needs. */
#include "agent.h"
#include "query.h"
#include "server.h"

char _license[] SEC("license") = "GPL";
