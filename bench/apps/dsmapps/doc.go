// SPDX-License-Identifier: Apache-2.0

// Command dsmapps runs the DSM's applications (§4.7): sor, lu, radix, barnes,
// nsquared and spatial (water), cache. Each is a package below.
//
//	dsmapps PROGRAM [--local N] [--check] [--progress] [sizes]
//
// Started by dsmrun it is one node's process; with --local all nodes are in this
// process. Node 0 writes one line of JSON; --check adds the sequential run and
// fails if its result is another.
//
// The trap: the region has to hold the program, and there have to be its locks;
// --needs N writes for N nodes what to give dsmrun.
//
//	dsmrun -n 4 dsmapps barnes --bodies 16384 --steps 60 --check
//	dsmapps barnes --local 4 --check
package main
