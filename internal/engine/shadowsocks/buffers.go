package shadowsocks

import "sync"

const (
	// portionSize is how much is read at a time: two chunks. More gain nothing.
	portionSize = 2 * maxPayload
	// sealedSize has room for a portion as it is sent, with a salt in front.
	sealedSize = 2*chunkSize + 32

	// datagramSize has room for any datagram, and what is around it.
	datagramSize = 64<<10 + 128
)

// The buffers are held while there is something in them: most connections are
// silent most of the time.
//
//nolint:gochecknoglobals // a pool is the process's by nature
var (
	sealedBuffers   = sync.Pool{New: func() any { return new([sealedSize]byte) }}
	plainBuffers    = sync.Pool{New: func() any { return new([sealedSize]byte) }}
	datagramBuffers = sync.Pool{New: func() any { return new([datagramSize]byte) }}
)
