// SPDX-License-Identifier: Apache-2.0

package rank

import "strconv"

// Rank is which process of a job this is.
type Rank struct {
	Node, Nodes int    // Nodes is 0 if the launcher does not say it
	Job         string // what distinguishes the job from others; "": nothing that is known
	By          string // the launcher
}

// launcher says where to look.
type launcher struct {
	by, node, nodes string
	job             []string // together
}

var launchers = []launcher{
	{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", []string{"PMIX_NAMESPACE"}}, // first: it may have been started by srun
	{"MPICH", "PMI_RANK", "PMI_SIZE", nil},
	{"Slurm", "SLURM_PROCID", "SLURM_NTASKS", []string{"SLURM_JOB_ID", "SLURM_STEP_ID"}},
	{"Kubernetes", "JOB_COMPLETION_INDEX", "", nil},
}

// Of asks an environment.
func Of(getenv func(string) string) (Rank, bool) {
	for _, l := range launchers {
		r := Rank{By: l.by}
		var ok bool
		if r.Node, ok = number(getenv(l.node)); !ok {
			continue
		}
		if l.nodes != "" {
			if r.Nodes, ok = number(getenv(l.nodes)); !ok || r.Node >= r.Nodes {
				continue
			}
		}
		for i, name := range l.job {
			v := getenv(name)
			if v == "" {
				r.Job = ""
				break
			}
			if i > 0 {
				r.Job += "."
			}
			r.Job += clean(v)
		}
		return r, true
	}
	return Rank{}, false
}

func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil
}

// clean makes a part of a file's name.
func clean(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			b[i] = '_'
		}
	}
	return string(b)
}
