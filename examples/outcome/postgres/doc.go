// SPDX-License-Identifier: Apache-2.0

// Package postgres is a PostgreSQL of one's own, for tests, benches and demos of
// services with transactions (§2.3.2, §3.6.7): a cluster in a folder that ends with
// the process, which listens at a unix socket alone, so that processes in any network
// namespace reach it.
//
// The trap: it does not wait for the disk (fsync=off). A crash of PostgreSQL loses
// nothing all the same, for the kernel has what was written; a crash of the machine
// would.
//
//	c, err := postgres.Start("auction")
//	defer c.Close()
//	dsn, err := c.Create(ctx, "one")
package postgres
