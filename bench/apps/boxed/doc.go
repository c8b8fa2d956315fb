// SPDX-License-Identifier: Apache-2.0

// Command boxed does in a target what a server does with continuation boxes, and
// says how long each call took (Table 3.2, §3.9.3).
//
// The trap: it says where its boxes lay. A figure of the module's memory from a
// guest in which the module had none would be one of memfds.
//
//	boxed --runs 50 --trips 2000    # {"outlives": true, "us": {"1 KB, import": [...]}}
package main
