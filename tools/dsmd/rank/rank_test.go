// SPDX-License-Identifier: Apache-2.0

package rank

import "testing"

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want Rank
		ok   bool
	}{
		"nobody": {env: map[string]string{}},
		"srun": {
			map[string]string{"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"},
			Rank{3, 4, "77.0", "Slurm"}, true,
		},
		"mpirun": {
			map[string]string{"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_NAMESPACE": "prterun-host-12@1"},
			Rank{0, 2, "prterun-host-12_1", "Open MPI"}, true,
		},
		"mpirun in a job of Slurm": {
			map[string]string{"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
			Rank{1, 2, "", "Open MPI"}, true,
		},
		"mpiexec":                {map[string]string{"PMI_RANK": "1", "PMI_SIZE": "3"}, Rank{1, 3, "", "MPICH"}, true},
		"a Job":                  {map[string]string{"JOB_COMPLETION_INDEX": "5"}, Rank{5, 0, "", "Kubernetes"}, true},
		"a rank beyond the size": {env: map[string]string{"PMI_RANK": "3", "PMI_SIZE": "3"}},
		"no size":                {env: map[string]string{"SLURM_PROCID": "0"}},
		"nonsense":               {env: map[string]string{"SLURM_PROCID": "-1", "SLURM_NTASKS": "4", "JOB_COMPLETION_INDEX": "x"}},
		"half a name": {
			map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "77"},
			Rank{0, 4, "", "Slurm"}, true,
		},
	} {
		got, ok := Of(func(k string) string { return c.env[k] })
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %v, not %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}
