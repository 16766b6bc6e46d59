package shadowsocks

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"
)

// A stream of SIP004 is a salt and then chunks: a length of two bytes and so
// many bytes of payload, each of them sealed with a tag behind. The library
// reads and writes one chunk at a time; here as many are sealed, opened and
// moved at once as have come.

const (
	lengthSize = 2
	tagSize    = 16     // of every AEAD method
	maxPayload = 0x3FFF // of a chunk
	perChunk   = lengthSize + tagSize + tagSize
	chunkSize  = perChunk + maxPayload
)

var errSealed = errors.New("a chunk cannot be opened")

// A nonce counts up, the lowest byte first.
type nonce [12]byte

func (n *nonce) next() {
	for i := range n {
		if n[i]++; n[i] != 0 {
			return
		}
	}
}

// An opener opens the chunks of a client.
type opener struct {
	aead  cipher.AEAD
	count nonce
	ahead int // size of the payload that comes next; -1: a length does
}

func newOpener(k *shadowsocks.EncryptionKey, salt []byte) (*opener, error) {
	a, err := k.NewAEAD(salt)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return &opener{aead: a, ahead: -1}, nil
}

// open appends to plain what is in the whole parts at the beginning of
// sealed, and returns how many bytes these are. plain must have room for it,
// and must not share memory with sealed.
func (o *opener) open(plain, sealed []byte) (out []byte, used int, err error) {
	var length [lengthSize]byte
	for {
		size, into := lengthSize, length[:0]
		if o.ahead >= 0 {
			size, into = o.ahead, plain
		}
		if len(sealed) < size+tagSize {
			return plain, used, nil
		}
		opened, err := o.aead.Open(into, o.count[:], sealed[:size+tagSize], nil)
		if err != nil {
			return plain, used, errSealed
		}
		o.count.next()
		sealed, used = sealed[size+tagSize:], used+size+tagSize
		if o.ahead >= 0 {
			plain, o.ahead = opened, -1
		} else {
			o.ahead = int(binary.BigEndian.Uint16(opened) & maxPayload)
		}
	}
}

// A sealer seals what goes to a client.
type sealer struct {
	aead  cipher.AEAD
	count nonce
	salt  []byte // not sent yet
}

func newSealer(e *service.CipherEntry) (*sealer, error) {
	salt := make([]byte, e.CryptoKey.SaltSize())
	if err := e.SaltGenerator.GetSalt(salt); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	a, err := e.CryptoKey.NewAEAD(salt)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return &sealer{aead: a, salt: salt}, nil
}

// seal appends plain in chunks. It must not share memory with what it is
// appended to.
func (s *sealer) seal(sealed, plain []byte) []byte {
	sealed, s.salt = append(sealed, s.salt...), nil
	var length [lengthSize]byte
	for len(plain) > 0 {
		n := min(len(plain), maxPayload)
		binary.BigEndian.PutUint16(length[:], uint16(n))
		sealed = s.aead.Seal(sealed, s.count[:], length[:], nil)
		s.count.next()
		sealed = s.aead.Seal(sealed, s.count[:], plain[:n], nil)
		s.count.next()
		plain = plain[n:]
	}
	return sealed
}
