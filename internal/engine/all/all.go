// Package all lists the engines that this binary carries. It is a list and
// holds no logic.
package all

import (
	"vpn/internal/engine"
	"vpn/internal/engine/proxy"
	"vpn/internal/engine/shadowsocks"
	"vpn/internal/engine/vless"
	"vpn/internal/engine/wireguard"
	"vpn/internal/vpn"
)

// Engines returns how to make the engine of each protocol.
func Engines() map[vpn.Protocol]engine.New {
	return map[vpn.Protocol]engine.New{
		"vless":       vless.New,
		"wireguard":   wireguard.New,
		"shadowsocks": shadowsocks.New,
		"http":        proxy.New,
		"socks5":      proxy.New,
		"mixed":       proxy.New,
	}
}
