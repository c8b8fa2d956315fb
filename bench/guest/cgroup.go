// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"fmt"
	"strings"
)

const cgroups = "/sys/fs/cgroup"

// Cgroup makes a control group as an administrator would who expects the worst:
// value goes into its file of that controller. Every user may enter it.
func (g *Guest) Cgroup(ctx context.Context, name, controller, file, value string) error {
	script := fmt.Sprintf(`cd %s; [ -e cgroup.controllers ] || mount -t cgroup2 none . && cd %s
		echo +%s > cgroup.subtree_control && mkdir %s && echo %s > %s/%s.%s && chmod 666 cgroup.procs %s/cgroup.procs`,
		cgroups, cgroups, controller, name, value, name, controller, file, name)
	_, err := g.VM.Must(ctx, "sh", "-ec", script)
	return err
}

// InCgroup is the command line that runs args, which hold no blanks, in a group.
func InCgroup(name string, args ...string) []string {
	return []string{"sh", "-c", "echo $$ > " + cgroups + "/" + name + "/cgroup.procs && exec " + strings.Join(args, " ")}
}
