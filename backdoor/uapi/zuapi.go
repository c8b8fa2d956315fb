// Code generated from kmod/uapi by go generate; DO NOT EDIT.

// SPDX-License-Identifier: Apache-2.0

package uapi

const (
	VersionMajor       = 0x1
	VersionMinor       = 0x0
	RootMagic          = 0x31524f4f44425a4c
	TableMagic         = 0x31454c4241544442
	ManifestMagic      = 0x3146494e414d4442
	SboxMagic          = 0x31584f42534e4553
	UIDsMagic          = 0x3153444955534442
	LockMagic          = 0x314b434f4c4f4442
	UsersMagic         = 0x3153524553554442
	PanicMagic         = 0x3143494e41504442
	Monitors           = 0x8
	MaxCPUs            = 0x100
	MaxRegions         = 0x2a
	RegionName         = 0x18
	KillSlots          = 0x400
	KnobSlots          = 0x8
	ForeignMax         = 0x40
	UserPages          = 0x10
	UIDsMax            = 0x7f
	PermRead           = 0x1
	PermWrite          = 0x2
	PermAtomic         = 0x4
	RegionMMIO         = 0x1
	RegionBar          = 0x2
	EntryName          = 0x30
	SensorMin          = 0x1
	SensorClock        = 0x2
	SensorOrphaned     = 0x4
	SensorUser         = 0x8
	SensorHeartbeat    = 0x10
	SensorName         = 0x18
	SensorUnit         = 0x8
	SboxPages          = 0x4
	SboxCapacity       = 0xff
	UserCapacity       = 0x40
	UserRegionPages    = 0x11
	LockNMI            = 0x1
	LockSpare          = 0x2
	LockDrain          = 0x4
	FenceWant          = 0x46454e43
	IoctlMagic         = 0xbd
	IoctlVersion       = 0x8020bd00
	IoctlNewSensor     = 0xc038bd01
	IoctlReleaseSensor = 0x4004bd02
	IoctlSetKey        = 0x4020bd03
	IoctlAddForeign    = 0x4040bd04
	IoctlAdoptSensor   = 0xc038bd05
	RDMAPort           = 0x1e61
	HelloMagic         = 0x494c4548
	DenialMagic        = 0x594e4544
	GrantMagic         = 0x4e415247
	HelloMax           = 0x38
	DenialMax          = 0x94
	GrantMax           = 0xc4
	HelloTakeover      = 0x1
	GrantLock          = 0x1
	GrantSoftware      = 0x2
	GrantAtomic        = 0x4
	OwnerMagic         = 0x31524e574f444253
	OwnerNone          = 0xffffffff
	Proposals          = 0x4
	ProposalData       = 0xfd0
	PolicyLock         = 0x1
	PolicyFence        = 0x2
	PolicyOwn          = 0x4
	PolicyAll          = 0x7
	IoctlSetPolicy     = 0x4020bd06
	IoctlSetAgreement  = 0x4018bd07
	IoctlSeal          = 0x4008bd08
)
