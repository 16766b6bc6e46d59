package sip022

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

const (
	maxKeySize   = 32
	tagSize      = 16
	identitySize = 16
)

// An identity is what a client names its user's key by: the beginning of the
// key's hash (SIP023).
type identity [identitySize]byte

func identityOf(key []byte) identity {
	hash := blake3.Sum256(key)
	return identity(hash[:identitySize])
}

// A purpose is what a key is derived for: the chaining value that BLAKE3 makes
// of its name.
type purpose [8]uint32

// newPurpose hashes a name of at most one block.
func newPurpose(name string) purpose {
	return purpose(guts.ChainingValue(node(guts.IV, []byte(name), guts.FlagDeriveKeyContext)))
}

//nolint:gochecknoglobals // constants, for which the language has no literal
var (
	sessionPurpose  = newPurpose("shadowsocks 2022 session subkey")
	identityPurpose = newPurpose("shadowsocks 2022 identity subkey")
)

// subkey derives a key that is as long as key, which salt makes another one
// each time (SIP022, section 2.2). It is [blake3.DeriveKey] without the 7 KB
// that it takes for texts of any length: these fit one block.
func (p purpose) subkey(key, salt []byte) []byte {
	var material [2 * maxKeySize]byte
	n := copy(material[:], key)
	n += copy(material[n:], salt)
	out := guts.WordsToBytes(guts.CompressNode(node(p, material[:n], guts.FlagDeriveKeyMaterial)))
	return append([]byte(nil), out[:len(key)]...)
}

// node is a text of at most one block, which is its own tree.
func node(cv [8]uint32, text []byte, flag uint32) guts.Node {
	var block [guts.BlockSize]byte
	n := copy(block[:], text)
	return guts.Node{
		CV:       cv,
		Block:    guts.BytesToWords(block),
		BlockLen: uint32(n),
		Flags:    flag | guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot,
	}
}

// newBlock returns AES with a key whose size was looked at when it was read.
func newBlock(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("key of %d bytes", len(key)))
	}
	return b
}

func newAEAD(key []byte) cipher.AEAD {
	a, err := cipher.NewGCM(newBlock(key))
	if err != nil {
		panic(err) // AES has the block size that GCM wants
	}
	return a
}

// A box seals or opens the chunks of one direction of a stream, in their
// order. Each has the next number as its nonce.
type box struct {
	aead  cipher.AEAD
	nonce [12]byte
}

func newBox(key, salt []byte) box { return box{aead: newAEAD(sessionPurpose.subkey(key, salt))} }

// seal appends the ciphertext of b to dst, which may be b[:0].
func (x *box) seal(dst, b []byte) []byte {
	dst = x.aead.Seal(dst, x.nonce[:], b, nil)
	x.next()
	return dst
}

// open appends the plaintext of b to dst, which may be b[:0].
func (x *box) open(dst, b []byte) ([]byte, error) {
	p, err := x.aead.Open(dst, x.nonce[:], b, nil)
	x.next()
	return p, err
}

func (x *box) next() {
	for i := range x.nonce {
		if x.nonce[i]++; x.nonce[i] != 0 {
			return
		}
	}
}
