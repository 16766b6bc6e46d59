// Package all lists the protocols of the product. It holds nothing else.
package all

import (
	"vpn/internal/protocol"
	"vpn/internal/protocol/vless"
)

// Protocols returns every protocol, the recommended one first.
func Protocols() protocol.Set {
	return protocol.NewSet(
		vless.Protocol{},
	)
}
