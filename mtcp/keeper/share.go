// SPDX-License-Identifier: Apache-2.0

package keeper

// Share is what a user's processes have of what Config bounds, or may have: zero
// is no bound then. Everybody may connect to a keeper, and without it one user
// could take all there is.
type Share struct {
	Sessions  int
	Bytes     int64 // of their boxes
	Processes int
	Listeners int
}

// allows reports whether one who would have so much may.
func (most Share) allows(have Share) bool {
	return (most.Sessions == 0 || have.Sessions <= most.Sessions) &&
		(most.Bytes == 0 || have.Bytes <= most.Bytes) &&
		(most.Processes == 0 || have.Processes <= most.Processes) &&
		(most.Listeners == 0 || have.Listeners <= most.Listeners)
}

// take gives a user more of all there is, if that is allowed; mu is held.
func (k *Keeper) take(uid uint32, more Share) bool {
	have := k.shares[uid]
	have.Sessions += more.Sessions
	have.Bytes += more.Bytes
	have.Processes += more.Processes
	have.Listeners += more.Listeners
	if !k.cfg.User.allows(have) {
		return false
	}
	k.shares[uid] = have
	return true
}

// untake takes it back; mu is held.
func (k *Keeper) untake(uid uint32, less Share) {
	have := k.shares[uid]
	have.Sessions -= less.Sessions
	have.Bytes -= less.Bytes
	have.Processes -= less.Processes
	have.Listeners -= less.Listeners
	if k.shares[uid] = have; have == (Share{}) {
		delete(k.shares, uid)
	}
}
