package sip022

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// pair is the two ends of a connection.
func pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = s.Close()
	})
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// Chunks of any size arrive whole and in order, in whichever pieces they come.
func TestChunks(t *testing.T) {
	key, salt := make([]byte, 32), make([]byte, 32)
	sizes := []int{1, 0, 65535, 65535, 16, 0, 0, 32768, 40000, 65535, 3}
	for range 300 {
		sizes = append(sizes, rand.IntN([]int{10, 2000, 20_000, 65536}[rand.IntN(4)]))
	}
	seal := codec{aead: clientAEAD(key, salt)}
	var plain, wire []byte
	for _, n := range sizes {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		plain = append(plain, b...)
		wire = append(wire, seal.seal(binary.BigEndian.AppendUint16(nil, uint16(n)))...)
		wire = append(wire, seal.seal(b)...)
	}
	for _, tt := range []struct {
		name string
		end  int // of what is sent
		err  error
	}{
		{"whole", len(wire), io.EOF},
		{"cut in a payload", len(wire) - 1, io.ErrUnexpectedEOF},
		{"cut before a payload", 18, io.ErrUnexpectedEOF},
		{"cut in a length", len(wire) - sizes[len(sizes)-1] - tagSize - 5, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, server := pair(t)
			raw, err := server.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			o := newOpener(server, raw)
			o.box = newBox(key, salt)
			defer o.close()
			go func() {
				defer func() { _ = client.Close() }()
				for b := wire[:tt.end]; len(b) > 0; {
					n := min(len(b), 1+rand.IntN(100_000))
					if _, err := client.Write(b[:n]); err != nil {
						return
					}
					b = b[n:]
				}
			}()
			var got []byte
			for err == nil {
				var b []byte
				b, err = o.next()
				got = append(got, b...)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("it ends with: %v", err)
			}
			if !bytes.HasPrefix(plain, got) || tt.end == len(wire) && len(got) != len(plain) {
				t.Errorf("%d bytes came of %d, or others", len(got), len(plain))
			}
		})
	}
}
