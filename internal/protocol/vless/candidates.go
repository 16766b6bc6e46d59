package vless

import "slices"

// candidates are the built-in targets, in no order of worth. Each is
//
//   - a maker of computers, chips or their software: its visitors come from
//     everywhere and at all hours, so that a connection to it stands out
//     nowhere, and no country is known to block it;
//   - served with TLS 1.3, X25519 and HTTP/2, with a certificate that fits
//     its host name, from machines near most places, which keeps the detour
//     of a handshake short;
//   - not behind a proxy that serves anybody's site by the name asked for
//     without a contract: through such a target, strangers could use this
//     server as a way to other sites there;
//   - not a service that is itself often blocked, as those for search,
//     video, messages and social networks are.
//
// Sites change, so none is taken without a check over the network.
var candidates = []string{
	"www.microsoft.com:443",
	"www.nvidia.com:443",
	"www.amd.com:443",
	"www.intel.com:443",
	"www.oracle.com:443",
	"www.ibm.com:443",
	"www.cisco.com:443",
	"www.dell.com:443",
	"www.lenovo.com:443",
	"www.samsung.com:443",
	"www.sony.com:443",
	"www.asus.com:443",
}

// Candidates returns the built-in targets, one of which stands for
// [AutoTarget].
func Candidates() []string { return slices.Clone(candidates) }
