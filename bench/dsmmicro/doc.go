// SPDX-License-Identifier: Apache-2.0

// Dsmmicro measures what a program of the DSM waits for (§4.7): a page that is not
// here, the first write to one, a barrier, locks. It runs under dsmrun.
//
// The trap: on as many processors as nodes a figure is mostly of the scheduler.
package main
