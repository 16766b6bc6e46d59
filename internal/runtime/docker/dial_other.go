//go:build !linux

package docker

import (
	"context"
	"net"
	"runtime"

	"vpn/internal/vpn"
)

func dialSocket(context.Context, string, int) (net.Conn, error) {
	return nil, vpn.Errorf(vpn.Unavailable, "servers cannot run on %s", runtime.GOOS)
}
