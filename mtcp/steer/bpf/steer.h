/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs and package steer share: maps' keys and values. Checked on
 * both sides, here and by TestLayouts. Numbers are the machine's own, addresses
 * and ports those of the network. */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

/* IPv4 is mapped into IPv6. */
struct addr {
	__be32 w[4];
};

/* flow is a connection as seen from here: local is the client's end in the
 * client's programs (also at a gateway), the server's in the server's. */
struct flow {
	struct addr local;
	struct addr remote;
	__be16 lport;
	__be16 rport;
};

enum state {
	OFF,
	MIGRATING, /* what the client writes is held, what it gets is as of then */
	SWITCHED,  /* the new server has it but has not been heard: nothing leaves */
	MOVED,     /* the new server speaks; others are a BLACKHOLE */
};

enum {
	CLAMP_IN = 1,  /* frozen is known */
	CLAMP_OUT = 2, /* sent is known */
	DIRECT = 4,    /* the next hop is the same: no other link address */
	KEEP = 8,      /* what is held back is handed over: it is sent later */
};

/* session is one moved connection, by the flow that the application sees. */
struct session {
	struct flow wire;  /* to the current server */
	struct flow asked; /* to the next one */
	__u32 hop;        /* its number */
	__u32 next;       /* that of the server which is asked */
	__u32 state;
	__u32 flags;
	__u32 frozen;     /* MIGRATING: no ACK above reaches the client */
	__u32 sent;       /* no ACK above leaves: the current server has not sent more */
	__u32 up;         /* client's numbers on the wire, minus those it uses */
	__u32 down;       /* the server's likewise */
	__u32 oif;        /* interface towards the current server, 0: the same */
	__u32 seen;       /* of its end */
	__u64 deadline;   /* MIGRATING ends by itself; CLOCK_MONOTONIC, ns; 0: never */
	__u64 last;       /* segment that went on, or was kept, or the move's beginning; likewise, to a tick */
};

enum {
	SEEN_FIN_OUT = 1,
	SEEN_FIN_IN = 2,
	SEEN_RST = 4,
};

/* wire says whose a flow on the wire is. A hop that is no longer current is a
 * black hole; 0 is never current. */
struct wire {
	struct flow app;
	__u32 hop;
};

enum told {
	TOLD_OFFER = 1, /* the option is M-TCP's; the SYN+ACK went on */
	TOLD_OPTION,    /* likewise, and the segment went no further */
	TOLD_NEXT,      /* from the server that is asked, or its handshake repeated */
	TOLD_ABORT,     /* the client's RST while its session moves */
	TOLD_HELD,      /* of a flow on hold that wants to be told */
};

#define MAX_OPTIONS 40

/* event is a segment for the agent. */
struct event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	struct flow flow;
	__u32 ifindex;
	__u32 seq;
	__u32 ack;
	__u32 payload; /* bytes */
	__u16 window;
	__u8 flags; /* of TCP */
	__u8 told;
	__u8 options_len;
	__u8 out; /* it was leaving */
	__u8 options[MAX_OPTIONS];
	__u8 pad[6];
};

/* query is asked and answered in the data of a test run. */
struct query {
	struct flow flow;
	__u32 v6;
	__u32 found; /* 0 no, 1 a connection, 2 only a remainder: TIME_WAIT and the like */
	__u32 state;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 rcv_nxt;
	__u32 srtt_us; /* times 8 */
	__u32 snd_cwnd;
	__u32 mss;
	__u32 total_retrans;
	__u32 pad;
	__u64 bytes_received;
	__u64 bytes_acked;
};

/* kept comes before a segment that is handed over, with its link's header. */
struct kept {
	struct flow app;
	__u32 link; /* bytes of that header */
	__u32 len;  /* of it all */
};

enum {
	DROP_IN = 1,  /* nothing of the flow reaches TCP */
	DROP_OUT = 2, /* nothing that TCP has to say leaves */
	TELL = 4,     /* what comes is told */
};

/* hold is what the server's programs do with a flow. */
struct hold {
	__u32 what;
	__u32 pad;
	__u64 until; /* CLOCK_MONOTONIC, ns; 0: until it is taken away */
};

struct endpoint {
	struct addr addr; /* zeros: any */
	__be16 port;
	__be16 pad;
};

/* service is a listener whose sessions may move. */
struct service {
	__u64 key[2]; /* of the certificates */
	struct endpoint server; /* the first to go to; port 0: told later */
	__u8 parts_v4; /* of the offer, in all */
	__u8 parts_v6;
	__u8 flags;
	__u8 pad;
};

enum {
	OFFERS = 1, /* SYN+ACKs get an offer */
	TAKES = 2,  /* SYNs with MIGRATE_REQUEST are for the agent */
};

enum counter {
	REWRITTEN_OUT,
	REWRITTEN_IN,
	DATA_HELD,
	ACKS_CLAMPED_IN,
	ACKS_CLAMPED_OUT,
	SACKS_BLANKED,
	BLACKHOLED,
	OPENED,
	EXPIRED,
	TELLINGS,
	TELLINGS_LOST,
	OFFERED,
	OFFERS_TOO_LONG,
	HELD_IN,
	HELD_OUT,
	KEPT,
	KEPT_LOST,
	REFUSED, /* not to be rewritten: a helper said no */
	COUNTERS,
};

_Static_assert(sizeof(struct flow) == 36, "flow");
_Static_assert(sizeof(struct session) == 128, "session");
_Static_assert(sizeof(struct wire) == 40, "wire");
_Static_assert(sizeof(struct event) == 112, "event");
_Static_assert(sizeof(struct query) == 96, "query");
_Static_assert(sizeof(struct kept) == 44, "kept");
_Static_assert(sizeof(struct hold) == 16, "hold");
_Static_assert(sizeof(struct service) == 40, "service");

#endif
