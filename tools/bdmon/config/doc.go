// SPDX-License-Identifier: Apache-2.0

// Package config reads bdmon's configuration: targets, deadlines, healers,
// policies, spares (§3.7.1).
//
// The file is YAML and strict: an unknown or doubled key is an error with line
// and column; what is well formed but wrong is named by its path.
//
// The trap: a healer kills. So a memory healer without a policy of its own is
// refused, and user 0 is spared unless root: true says otherwise.
//
//	targets:
//	  - name: t1
//	    url: lab:t1
//	    slot: 0
//	    key_file: /etc/lazystate/keys/t1
//	    sensors: {NPROCS: {limit: 300}, ctxt: {limit: 200ms}}
//	    healers:
//	      - kind: proc
//	        sensors: [NPROCS, MAXPROCRATE_PERUID]
//	        policy: {any: [{POLICY_TOO_MANY_PROCS: 100}, {POLICY_RATE_TOO_HIGH: 50}]}
//	        spare: {uids: [26], commands: [{name: backup, uid: 34}]}
package config
