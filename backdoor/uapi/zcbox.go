// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

const (
	CboxMagic      = 0x31584f42544e4f43
	CboxMajor      = 0x1
	CboxMinor      = 0x0
	CboxLenMax     = 0x40000000
	CboxHeadMax    = 0x10000
	CboxProcsMax   = 0x40
	CboxChansMax   = 0x80
	CboxOptsMax    = 0x40
	CboxActsMax    = 0x80
	CboxSnapLen    = 0x1000
	CboxRingLen    = 0x4000
	CboxOpts       = 0x10
	CboxActs       = 0x20
	CboxNone       = 0xffffffff
	CboxName       = 0x18
	CboxNumbered   = 0x1
	CboxTrial      = 0x1
	CboxTrialAgain = 0x2
	CboxClaimed    = 0x100
	CboxSnapNDI    = 0x1
	CboxSnapShut   = 0x2
	CboxSnapFinal  = 0x4
	CboxEndClosed  = 0x1
	CboxChanOpen   = 0x1
	CboxOptLen     = 0x10
	CboxPassMagic  = 0x3153534150584243
	CboxPassConn   = 0x1
	CboxPassAll    = 0x2
	ScdMagic       = 0x3230304443534353
	ScdTell        = 0x1
)
