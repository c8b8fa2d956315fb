// SPDX-License-Identifier: Apache-2.0

// Package files tests the server in C beside it: c/files.c, on the C library of
// continuation boxes (§2.4.3). It sends files over HTTP/1.0, a thread for each
// session, and takes a snapshot of the request and of how far it has come after
// each 8 KB, as M-Apache did (§2.7.2).
//
// The trap: a request that has not come whole is in no snapshot, so nothing is
// exported before it has; from then on it is in each, because the log forgets it.
//
//	make cbox    # build/bin/files too
//	files /run/lazystate/scd.sock 8080 /srv/www
//	curl http://localhost:8080/file
package files
