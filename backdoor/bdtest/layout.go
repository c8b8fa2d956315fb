// SPDX-License-Identifier: Apache-2.0

package bdtest

import "lazystate/backdoor"

// RSS is how the synthetic kernel keeps mm_struct.rss_stat.
type RSS uint8

const (
	RSSPlain  RSS = iota // four atomic_long_t, to 6.1
	RSSPerCPU            // four struct percpu_counter, from 6.2
)

const (
	percpuCounterSize  = 40
	percpuCounterCount = 8
	pidLinkSize        = 16
	slots              = 64 // XA_CHUNK_SIZE
)

// members is the layout of the synthetic kernel: like 6.1 in order, smaller in
// size, so that nothing in a reader can depend on a known offset.
func members(rss RSS, numbers uint32) map[string]backdoor.Member {
	m := map[string]backdoor.Member{
		"task_struct":             {Off: 1024},
		"task_struct.__state":     {Off: 24, Size: 4},
		"task_struct.flags":       {Off: 44, Size: 4},
		"task_struct.tasks":       {Off: 320, Size: 16},
		"task_struct.mm":          {Off: 368, Size: 8},
		"task_struct.exit_state":  {Off: 400, Size: 4},
		"task_struct.pid":         {Off: 424, Size: 4},
		"task_struct.tgid":        {Off: 428, Size: 4},
		"task_struct.real_parent": {Off: 440, Size: 8},
		"task_struct.pid_links":   {Off: 496, Size: 64},
		"task_struct.thread_node": {Off: 576, Size: 16},
		"task_struct.utime":       {Off: 608, Size: 8},
		"task_struct.stime":       {Off: 616, Size: 8},
		"task_struct.start_time":  {Off: 640, Size: 8},
		"task_struct.real_cred":   {Off: 704, Size: 8},
		"task_struct.cred":        {Off: 712, Size: 8},
		"task_struct.comm":        {Off: 728, Size: 16},
		"task_struct.signal":      {Off: 768, Size: 8},

		"signal_struct":             {Off: 128},
		"signal_struct.live":        {Off: 4, Size: 4},
		"signal_struct.nr_threads":  {Off: 8, Size: 4},
		"signal_struct.thread_head": {Off: 16, Size: 16},

		"cred":      {Off: 64},
		"cred.uid":  {Off: 8, Size: 4},
		"cred.euid": {Off: 24, Size: 4},

		"mm_struct":                {Off: 384},
		"mm_struct.pgtables_bytes": {Off: 96, Size: 8},
		"mm_struct.rss_stat":       {Off: 160, Size: 32},

		"pid":         {Off: numbers + 64},
		"pid.level":   {Off: 4, Size: 4},
		"pid.tasks":   {Off: numbers - 80, Size: 32},
		"pid.numbers": {Off: numbers, Size: 0},
		"upid":        {Off: 16},
		"upid.nr":     {Off: 0, Size: 4},

		"pid_namespace":     {Off: 128},
		"pid_namespace.idr": {Off: 16, Size: 24},

		"pid_namespace.user_ns": {Off: 64, Size: 8},

		"idr.idr_rt":     {Off: 0, Size: 16},
		"xarray.xa_head": {Off: 8, Size: 8},
		"xa_node":        {Off: 576},
		"xa_node.shift":  {Off: 0, Size: 1},
		"xa_node.slots":  {Off: 40, Size: 8 * slots},
	}
	if rss == RSSPerCPU {
		m["mm_struct.rss_stat"] = backdoor.Member{Off: 160, Size: 4 * percpuCounterSize}
		m["percpu_counter"] = backdoor.Member{Off: percpuCounterSize}
		m["percpu_counter.count"] = backdoor.Member{Off: percpuCounterCount, Size: 8}
	}
	return m
}
