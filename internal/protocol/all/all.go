// Package all lists the protocols of the product. It holds nothing else.
package all

import (
	"vpn/internal/protocol"
	"vpn/internal/protocol/proxy"
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/protocol/vless"
	"vpn/internal/protocol/wireguard"
)

// Protocols returns every protocol, the recommended one first.
func Protocols() protocol.Set {
	return protocol.NewSet(
		vless.Protocol{},
		shadowsocks.Protocol{},
		wireguard.Protocol{},
		proxy.New(proxy.Mixed),
		proxy.New(proxy.HTTP),
		proxy.New(proxy.SOCKS5),
	)
}
