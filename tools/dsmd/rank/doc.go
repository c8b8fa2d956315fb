// SPDX-License-Identifier: Apache-2.0

// Package rank asks the environment which process of a parallel job this is, as
// launchers say it: Slurm's srun, Open MPI's and MPICH's mpirun, an indexed Job of
// Kubernetes. So that the engines that place processes on hosts place those of the
// DSM too (§4.6).
//
// The trap: a launcher's variables are inherited. A script that srun has started,
// and that starts a whole run on its own host, has them as well; so they count only
// where the number of nodes was not given.
//
//	r, ok := rank.Of(os.Getenv)
//	if !ok {
//		return errors.New("which node is this?")
//	}
//	start(r.Node, r.Nodes, filepath.Join(dir, r.Job))
package rank
