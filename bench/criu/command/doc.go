// SPDX-License-Identifier: Apache-2.0

// Package command runs CRIU for benches that compare with it.
//
// The trap: CRIU says why it fails in its log only, which lies beside the images.
//
//	took, err := command.Run(ctx, "criu", images, "dump", "--tree", pid)
//	if err == nil {
//		took, err = command.Run(ctx, "criu", images, "restore", "--restore-detached", "--pidfile", file)
//	}
//	restored, err := command.PID(file)
package command
