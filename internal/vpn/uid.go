package vpn

// A UIDRange is user ids that belong to this product alone: Base and the ones
// after it, Count in all. Its zero value is none.
type UIDRange struct {
	Base  uint32
	Count uint32
}

// At returns the id of a slot, and whether the range has one.
func (r UIDRange) At(slot uint32) (uid uint32, ok bool) {
	return r.Base + slot, slot < r.Count
}
