package protocol

import "vpn/internal/vpn"

// A Seater is a [Protocol] that gives each credential something of which a
// server has so many, such as an address: one for each slot.
type Seater interface {
	// Seats returns how many slots of s there are.
	Seats(s vpn.Server) (uint32, error)
}

// Seat returns an error of kind [vpn.Conflict] if a server has nothing for a
// credential of that slot.
func Seat(p Protocol, s vpn.Server, slot uint32) error {
	seater, ok := p.(Seater)
	if !ok {
		return nil
	}
	seats, err := seater.Seats(s)
	if err != nil || slot < seats {
		return err
	}
	return NoSeat(s, seats)
}

// NoSeat is the error of kind [vpn.Conflict] for a server that is full.
func NoSeat(s vpn.Server, seats uint32) error {
	return vpn.Errorf(vpn.Conflict, "server %s is full: its subnet has addresses for %d devices", s.Name, seats).
		WithHint("delete who is not needed, or make another server: vpn server create --protocol %s", s.Protocol)
}
