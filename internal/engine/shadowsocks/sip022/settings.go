package sip022

import (
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// parseServer returns the server's method and key.
func parseServer(spec vpn.ServerSpec) (shadowsocks.Method, []byte, error) {
	set, err := shadowsocks.ParseSettings(spec.Settings)
	if err != nil {
		return "", nil, err
	}
	if !set.Method.Is2022() {
		return "", nil, vpn.Errorf(vpn.Invalid, "method %s is none of Shadowsocks 2022", set.Method)
	}
	private, err := shadowsocks.ParseKeys(spec.Private)
	if err != nil {
		return "", nil, err
	}
	key, err := private.ServerPSK(set.Method)
	return set.Method, key, err
}
