package worker

import "golang.org/x/sys/unix"

// tunnel returns [TunnelFD] if a TUN device is open there, else 0.
func tunnel() int {
	var request unix.Ifreq
	if unix.IoctlIfreq(TunnelFD, unix.TUNGETIFF, &request) != nil {
		return 0
	}
	return TunnelFD
}
