// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"lazystate/bench/result"
	"lazystate/verbs"
)

const (
	roceName = "ours: roce"
	shmName  = "ours: shm"

	smallOps = 3000 // of one round
	largeOps = 1500
)

// ours is a connection of package verbs.
type ours struct {
	label  string
	server *process
	conn   *verbs.Conn
	mr     *verbs.MR
	addr   uint64
	rkey   uint32
}

// Two processes want two addresses: the UDP port is RoCE's own.
func openRoce(ctx context.Context) (carrier, error) {
	return openOurs(ctx, roceName, "roce://127.0.0.2:0", "?local=127.0.0.1")
}

// What of its bandwidth comes from trains of packets that the kernel cuts and joins.
func openRoceSingly(ctx context.Context) (carrier, error) {
	return openOurs(ctx, roceName+", a system call's datagram is one packet", "roce://127.0.0.4:0?gso=off&gro=off", "?local=127.0.0.3&gso=off&gro=off")
}

// What of it comes from a link that takes packets of 4 KiB: Ethernet's 1500 bytes do not.
func openRoceMTU1024(ctx context.Context) (carrier, error) {
	return openOurs(ctx, roceName+", MTU 1024", "roce://127.0.0.6:0?mtu=1024", "?local=127.0.0.5&mtu=1024")
}

func openShm(ctx context.Context) (carrier, error) {
	return openOurs(ctx, shmName, "shm://127.0.0.1:0", "")
}

func openOurs(ctx context.Context, label, listen, query string) (carrier, error) {
	server, err := startServer(ctx, listen)
	if err != nil {
		return nil, err
	}
	o := &ours{label: label, server: server}
	scheme, _, _ := strings.Cut(listen, "://")
	o.conn, err = verbs.Dial(ctx, scheme+"://"+server.addr+query, &verbs.Config{NoLocal: true, Prepare: func(s *verbs.Setup) (err error) {
		o.mr, err = s.AllocMR(memory, verbs.AccessLocalWrite)
		return err
	}})
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	o.rkey = binary.LittleEndian.Uint32(o.conn.Peer.Private)
	o.addr = binary.LittleEndian.Uint64(o.conn.Peer.Private[4:])
	return o, nil
}

func (o *ours) name() string { return o.label }

func (o *ours) Close() error { return errors.Join(o.conn.Close(), o.server.Close()) }

func (o *ours) request(k kind, n, slot int) verbs.SendWR {
	op := map[kind]verbs.Opcode{read: verbs.OpRDMARead, write: verbs.OpRDMAWrite, cas: verbs.OpAtomicCmpAndSwp}[k]
	return verbs.SendWR{
		Op: op, Flags: verbs.SendSignaled, SG: []verbs.SGE{o.mr.SGE(slot*large, n)}, RemoteAddr: o.addr + uint64(slot*large), RKey: o.rkey,
	}
}

func (o *ours) latency(ctx context.Context, k kind) (float64, error) {
	n := small
	if k == cas {
		n = 8
	}
	wrs, wc := []verbs.SendWR{o.request(k, n, 0)}, make([]verbs.WC, 1)
	took := make([]float64, smallOps)
	for i := range took {
		start := time.Now()
		if _, err := o.conn.PostSend(wrs...); err != nil {
			return 0, err
		}
		if _, err := o.conn.CQ.Wait(ctx, wc); err != nil {
			return 0, err
		}
		if err := wc[0].Err(); err != nil {
			return 0, err
		}
		took[i] = float64(time.Since(start)) / 1e3
	}
	return result.Median(took), nil
}

func (o *ours) bandwidth(ctx context.Context, k kind) (float64, error) {
	start := time.Now()
	posted, done := 0, 0
	wcs, wrs := make([]verbs.WC, depth), make([]verbs.SendWR, 0, depth)
	for done < largeOps {
		wrs = wrs[:0]
		for posted < largeOps && posted-done < depth {
			wrs = append(wrs, o.request(k, large, posted%depth))
			posted++
		}
		if _, err := o.conn.PostSend(wrs...); err != nil {
			return 0, err
		}
		n, err := o.conn.CQ.Wait(ctx, wcs)
		if err != nil {
			return 0, err
		}
		for i := range n {
			if err := wcs[i].Err(); err != nil {
				return 0, fmt.Errorf("after %d: %w", done, err)
			}
		}
		done += n
	}
	return rate(largeOps, time.Since(start)), nil
}

// rate returns MB/s of so many transfers of 64 KiB.
func rate(n int, took time.Duration) float64 { return float64(n) * large / took.Seconds() / 1e6 }
