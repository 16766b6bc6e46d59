// Package vpn is the vocabulary of the product: what a user, a server, a
// credential, a byte of usage and an error are, whatever protocol, engine or
// database carries them.
//
// It holds no I/O, keeps no state and imports the standard library only.
// Times are UTC; traffic is counted in bytes of payload to or from the
// destination; rates are bytes per second.
package vpn
