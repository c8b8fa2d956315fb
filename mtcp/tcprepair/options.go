// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// option is a socket option that is an int. Its place in the table is its name
// on the wire: new ones go to the end.
type option struct {
	level, name int
	label       string
	late        bool // only once the socket is connected and its queues are full
}

var optionTable = [...]option{
	{unix.IPPROTO_IP, unix.IP_TOS, "IP_TOS", false}, // before SO_PRIORITY, which it changes
	{unix.IPPROTO_IP, unix.IP_TTL, "IP_TTL", false},
	{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, "IP_MTU_DISCOVER", false},
	{unix.IPPROTO_IP, unix.IP_MINTTL, "IP_MINTTL", false},
	{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, "IPV6_TCLASS", false},
	{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS", false},
	{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER", false},
	{unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT", false},
	{unix.SOL_SOCKET, unix.SO_PRIORITY, "SO_PRIORITY", false},
	{unix.SOL_SOCKET, unix.SO_MARK, "SO_MARK", false},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, "SO_KEEPALIVE", true},
	{unix.SOL_SOCKET, unix.SO_OOBINLINE, "SO_OOBINLINE", false},
	{unix.SOL_SOCKET, unix.SO_RCVLOWAT, "SO_RCVLOWAT", true},
	{unix.SOL_SOCKET, unix.SO_REUSEADDR, "SO_REUSEADDR", true},
	{unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", false},
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, "TCP_NODELAY", true},
	{unix.IPPROTO_TCP, unix.TCP_CORK, "TCP_CORK", true},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, "TCP_KEEPIDLE", false},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, "TCP_KEEPINTVL", false},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, "TCP_KEEPCNT", false},
	{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", true},
	{unix.IPPROTO_TCP, unix.TCP_LINGER2, "TCP_LINGER2", false},
	{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT", true},
	{unix.IPPROTO_TCP, unix.TCP_INQ, "TCP_INQ", false},
}

// Places in optionTable.
const (
	tos       = 0
	tclass    = 4
	priority  = 8
	keepAlive = 10
	reuseAddr = 13
	noDelay   = 15
	keepIdle  = 17
	keepIntvl = 18
	keepCnt   = 19
)

// Options are the socket's options, and what its user did to its receiving half.
type Options struct {
	has        uint64 // by place in optionTable
	val        [len(optionTable)]int32
	Congestion string // TCP_CONGESTION
	Linger     int32  // SO_LINGER in seconds; -1: off
	PeekOff    int32  // SO_PEEK_OFF; -1: off
	ShutRead   bool   // shutdown(SHUT_RD), which the peer does not know of
	RecvTimeo  int64  // SO_RCVTIMEO in microseconds; 0: none
	SendTimeo  int64
}

// Int returns an option of type int by its C name, and whether it was dumped.
func (o *Options) Int(label string) (int, bool) {
	for i, t := range optionTable {
		if t.label == label {
			return int(o.val[i]), o.has&(1<<i) != 0
		}
	}
	return 0, false
}

// NewOptions are those of somebody who has set nothing.
func NewOptions() Options { return Options{Linger: -1, PeekOff: -1} }

// Set notes an option of type int by its C name, for a dump that comes from
// elsewhere than from a socket here. It is false for one that is not carried.
func (o *Options) Set(label string, v int) bool {
	for i, t := range optionTable {
		if t.label == label {
			o.set(i, int32(v))
			return true
		}
	}
	return false
}

func (o *Options) set(i int, v int32) {
	o.has |= 1 << i
	o.val[i] = v
}

// read reads all that can be read in any state, before TCP_REPAIR, which changes
// SO_REUSEADDR.
func (o *Options) read(fd int, v6 bool) error {
	*o = NewOptions()
	for i, t := range optionTable {
		if t.level == unix.IPPROTO_IP && v6 || t.level == unix.IPPROTO_IPV6 && !v6 {
			continue
		}
		v, err := getsockopt(fd, t.level, t.name)
		if errors.Is(err, unix.ENOPROTOOPT) {
			continue // younger than this kernel
		}
		if err != nil {
			return fmt.Errorf("get %s: %w", t.label, err)
		}
		o.set(i, v)
	}
	return o.readStructs(fd)
}

func (o *Options) readStructs(fd int) error {
	var err error
	if o.Congestion, err = unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION); err != nil {
		return fmt.Errorf("get TCP_CONGESTION: %w", err)
	}
	var l unix.Linger
	if err := getStruct(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l); err != nil {
		return fmt.Errorf("get SO_LINGER: %w", err)
	}
	if l.Onoff != 0 {
		o.Linger = l.Linger
	}
	for _, t := range []struct {
		name int
		to   *int64
	}{{unix.SO_RCVTIMEO, &o.RecvTimeo}, {unix.SO_SNDTIMEO, &o.SendTimeo}} {
		var tv unix.Timeval
		if err := getStruct(fd, unix.SOL_SOCKET, t.name, &tv); err != nil {
			return fmt.Errorf("get a socket's time limit: %w", err)
		}
		*t.to = tv.Sec*1e6 + tv.Usec
	}
	return nil
}

// apply sets what differs from a fresh socket's. What this kernel does not know
// is left out; what the socket lacks then is named.
func (o *Options) apply(fd int, fresh *Options, late bool) (lacks []string, err error) {
	for i, t := range optionTable {
		if o.has&(1<<i) == 0 || t.late != late {
			continue
		}
		follows := i == priority && (o.val[tos] != fresh.val[tos] || o.val[tclass] != fresh.val[tclass])
		if fresh.has&(1<<i) != 0 && fresh.val[i] == o.val[i] && !follows && i != reuseAddr {
			continue
		}
		err := unix.SetsockoptInt(fd, t.level, t.name, int(o.val[i]))
		if errors.Is(err, unix.ENOPROTOOPT) {
			lacks = append(lacks, t.label)
			continue
		}
		if err != nil {
			return lacks, fmt.Errorf("set %s to %d: %w", t.label, o.val[i], err)
		}
	}
	if late {
		return lacks, o.applyStructs(fd)
	}
	if o.Congestion == "" || o.Congestion == fresh.Congestion {
		return lacks, nil
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, o.Congestion); err != nil {
		lacks = append(lacks, "TCP_CONGESTION "+o.Congestion) // the default does, too
	}
	return lacks, nil
}

// again sets what net.FileConn has changed.
func (o *Options) again(fd int) error {
	for _, i := range []int{noDelay, keepAlive, keepIdle, keepIntvl, keepCnt} {
		if t := optionTable[i]; o.has&(1<<i) != 0 {
			if err := setInt(fd, t.level, t.name, int(o.val[i]), t.label); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Options) applyStructs(fd int) error {
	if o.Linger >= 0 {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: o.Linger}); err != nil {
			return fmt.Errorf("set SO_LINGER: %w", err)
		}
	}
	if o.PeekOff >= 0 {
		if err := setInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, int(o.PeekOff), "SO_PEEK_OFF"); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		name int
		us   int64
	}{{unix.SO_RCVTIMEO, o.RecvTimeo}, {unix.SO_SNDTIMEO, o.SendTimeo}} {
		if t.us == 0 {
			continue
		}
		tv := unix.NsecToTimeval(t.us * 1e3)
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, t.name, &tv); err != nil {
			return fmt.Errorf("set a socket's time limit: %w", err)
		}
	}
	return nil
}
