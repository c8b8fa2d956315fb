// SPDX-License-Identifier: Apache-2.0

package steer

//go:generate go tool bpf2go -target bpfel -cc clang -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" -type flow -type session -type wire -type event -type query -type kept -type hold -type service -type endpoint -type counter -type told -type state bpf bpf/steer.c
