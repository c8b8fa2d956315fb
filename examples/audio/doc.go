// SPDX-License-Identifier: Apache-2.0

// Command audio streams music for ever, as Icecast does (§2.7.2): each listener
// gets the track that is on, from its beginning, at the speed at which it plays.
// A listener's player must not notice that the server's process has died.
//
// It uses the sessions as they are, without net/http: a request, then 8 KB and a
// snapshot of some 50 bytes, again and again. It begins with a burst, which is
// what a player has in hand while the next process starts; the snapshot says
// when the music began, so that the next one catches up.
//
// The trap: which track is on is a choice, and so it is in a snapshot before the
// first byte goes out. Titles (Icy-MetaData) come at offsets of the stream, so
// they are the same in every replay.
//
//	audio --keeper /run/lazystate/scd.sock --listen :8000 --kbit 128 *.mp3
//	mpg123 http://localhost:8000/
package main
