/* SPDX-License-Identifier: GPL-2.0 */
/* bd_trace.h - tracepoints backdoor:*, the target's own record of what was done to it */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM backdoor

#if !defined(BD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BD_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(bd_lock_state,
	TP_PROTO(u32 state, u32 holder, u32 epoch, u32 drained),
	TP_ARGS(state, holder, epoch, drained),
	TP_STRUCT__entry(
		__field(u32, state)
		__field(u32, holder)
		__field(u32, epoch)
		__field(u32, drained)
	),
	TP_fast_assign(
		__entry->state = state;
		__entry->holder = holder;
		__entry->epoch = epoch;
		__entry->drained = drained;
	),
	TP_printk("state=%s holder=%u epoch=%u drained=%u",
		  __print_symbolic(__entry->state, { BD_LOCK_FREE, "free" },
				   { BD_LOCK_STOPPING, "stopping" },
				   { BD_LOCK_HELD, "held" },
				   { BD_LOCK_FENCED, "fenced" }),
		  __entry->holder, __entry->epoch, __entry->drained)
);

TRACE_EVENT(bd_refused,
	TP_PROTO(u32 kind, u32 monitor, u64 seq, u32 why),
	TP_ARGS(kind, monitor, seq, why),
	TP_STRUCT__entry(
		__field(u32, kind)
		__field(u32, monitor)
		__field(u64, seq)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->kind = kind;
		__entry->monitor = monitor;
		__entry->seq = seq;
		__entry->why = why;
	),
	TP_printk("kind=%u monitor=%u seq=%llu why=%u", __entry->kind,
		  __entry->monitor, __entry->seq, __entry->why)
);

TRACE_EVENT(bd_hook,
	TP_PROTO(u32 kind, u32 monitor, u32 what, u32 pid, u32 result),
	TP_ARGS(kind, monitor, what, pid, result),
	TP_STRUCT__entry(
		__field(u32, kind)
		__field(u32, monitor)
		__field(u32, what)
		__field(u32, pid)
		__field(u32, result)
	),
	TP_fast_assign(
		__entry->kind = kind;
		__entry->monitor = monitor;
		__entry->what = what;
		__entry->pid = pid;
		__entry->result = result;
	),
	TP_printk("kind=%u monitor=%u what=%u pid=%u result=%u", __entry->kind,
		  __entry->monitor, __entry->what, __entry->pid, __entry->result)
);

TRACE_EVENT(bd_owner,
	TP_PROTO(u32 monitor, u32 epoch),
	TP_ARGS(monitor, epoch),
	TP_STRUCT__entry(
		__field(u32, monitor)
		__field(u32, epoch)
	),
	TP_fast_assign(
		__entry->monitor = monitor;
		__entry->epoch = epoch;
	),
	TP_printk("monitor=%d epoch=%u", (int)__entry->monitor, __entry->epoch)
);

TRACE_EVENT(bd_proposal,
	TP_PROTO(u32 kind, u32 index, u32 monitor, u32 state, u32 agreed),
	TP_ARGS(kind, index, monitor, state, agreed),
	TP_STRUCT__entry(
		__field(u32, kind)
		__field(u32, index)
		__field(u32, monitor)
		__field(u32, state)
		__field(u32, agreed)
	),
	TP_fast_assign(
		__entry->kind = kind;
		__entry->index = index;
		__entry->monitor = monitor;
		__entry->state = state;
		__entry->agreed = agreed;
	),
	TP_printk("kind=%u index=%u monitor=%u state=%s agreed=%x",
		  __entry->kind, __entry->index, __entry->monitor,
		  __print_symbolic(__entry->state, { BD_PROP_PENDING, "pending" },
				   { BD_PROP_DONE, "done" },
				   { BD_PROP_EXPIRED, "expired" },
				   { BD_PROP_DISAGREED, "disagreed" },
				   { BD_PROP_TAG, "tag" },
				   { BD_PROP_SEQ, "seq" },
				   { BD_PROP_NOKEY, "no key" },
				   { BD_PROP_EPOCH, "epoch" },
				   { BD_PROP_RANGE, "range" },
				   { BD_PROP_NOTALLOWED, "not allowed" },
				   { BD_PROP_REPLACED, "replaced" }),
		  __entry->agreed)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE bd_trace
#include <trace/define_trace.h>
