// SPDX-License-Identifier: Apache-2.0

// Salvagedemo shows sessions that outlive their server's kernel (§3.5, §3.6). A
// virtual machine serves (scd, examples/web, backdoor.ko); beside it is a recovery
// node with bdmon, scd and the same servers. One client downloads a file, the
// other bids again and again over one connection (§3.6.7's auction: its front end dies
// with the machine, its middle tier and PostgreSQL stay). The machine's
// kernel panics: bdmon finds it dead and fences it, scd takes over its address and
// carries the sessions out of its memory. Both clients go on; a table says what
// was when.
//
// The trap: the machine is emulated and shares this one's processors, so the
// times before the panic are the emulation's, and those after it the host's.
//
//	make demo-salvage
//	salvagedemo --kernel 6.1 --size 48
package main
