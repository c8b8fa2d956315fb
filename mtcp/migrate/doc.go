// SPDX-License-Identifier: Apache-2.0

// Package migrate moves sessions between servers that live (§2.5): it carries
// out what mtcp/party decides, with mtcp/keeper's sessions, over a control
// channel between the servers.
//
//	Capture, Captured   a session is frozen and taken down: the State reply
//	Prepare, Coming     a State is checked, made anew and let go elsewhere
//	Mesh                TLS between servers that know each other's keys
//	Mover               one server's side of all moves that it takes part in
//	Agent               the client's, whose applications have no part in it
//	Gateway             a router's, whose clients have no part in it
//
// A move is led by S1, which redirects the client's traffic (Takeover, Redirect),
// or by the client (Agent.Move), whom S1 may advise to (Advise); the servers' parts
// are the same but for whose word it is.
//
// The trap: sessions that share an address cannot be redirected one by one. With
// address takeover a move is of all of them, and it is all or none: one that is on
// its way elsewhere, or that comes when the others are captured, keeps them here. One
// whose connection is over has nothing that could move, and keeps nobody.
//
//	m, err := migrate.New(migrate.Config{Name: "s1", Keeper: k, Mesh: migrate.Mesh{...}, Services: services})
//	go m.Run(ctx)
//	result, err := m.Takeover(ctx, addr, "s2") // every session of the address, and the address
package migrate
