package protocol

import (
	"net/netip"
	"net/url"
	"strings"

	"vpn/internal/vpn"
)

// LinkName is what a client application shows a link as: server and user, and
// the device if it is for one.
func LinkName(s vpn.Server, u vpn.User, c vpn.Credential) string {
	name := s.Name + "-" + u.Name
	if c.Label != "" {
		name += "-" + c.Label
	}
	return name
}

// LinkHost returns endpoint as a link carries it. The error is of kind
// [vpn.Invalid] if it is no host.
func LinkHost(endpoint string) (string, error) {
	if err := vpn.ValidHost(endpoint); err != nil {
		return "", err
	}
	if a, err := netip.ParseAddr(endpoint); err == nil {
		return a.Unmap().String(), nil
	}
	return endpoint, nil
}

// Escape encodes s for any part of a link: only what RFC 3986 calls unreserved
// stays as it is.
func Escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
