// SPDX-License-Identifier: Apache-2.0

// Package noise bounds what others can make a daemon log. A hostile target
// (§3.4 trusts it to keep its contract) can cross its limits and come back at
// every sample, and who reaches a port can knock without end: either would fill
// the disk on which the audit log must find room.
//
// The trap: what decides or tells of a decision does not go through here. And
// what is the same is told by message, by what With has added to the logger and
// by nothing else: attributes of a single record may be the stranger's words.
//
//	quiet := noise.New(log.Handler(), 16)
//	heard := slog.New(quiet)
//	heard.With("event", kind).Warn("event", "what", text) // of each kind 16, then one a minute
//	for range time.Tick(noise.Every) {
//		quiet.Flush(time.Now()) // what was left out last is told, with how many before it
//	}
package noise
