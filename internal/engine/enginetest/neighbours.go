package enginetest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// This file is what tests of one engine need beside the suite.

const (
	// Ports that the kernel gives to nobody who asks for any: what is free is
	// still free a moment later.
	lowestFree  = 12_000
	highestFree = 31_000
)

// FreePort returns the first of n ports in a row at which nobody listens, nor
// for datagrams.
func FreePort(t testing.TB, n int) uint16 {
	t.Helper()
	for range 100 {
		port := lowestFree + rand.IntN(highestFree-lowestFree)
		if allFree(port, n) {
			return uint16(port)
		}
	}
	t.Fatalf("there are no %d ports in a row", n)
	return 0
}

func allFree(port, n int) bool {
	for k := range n {
		address := fmt.Sprint(":", port+k)
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		_ = ln.Close()
		pc, err := net.ListenPacket("udp", address)
		if err != nil {
			return false
		}
		_ = pc.Close()
	}
	return true
}

// ListenEcho starts a service at a free port of host that sends back what
// comes, and returns its address.
func ListenEcho(t testing.TB, host string) string {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String()
}

// ListenPackets is [ListenEcho] for datagrams.
func ListenPackets(t testing.TB, host string) string {
	t.Helper()
	return listenUDP(t, host).at(host)
}

// Echoes sends a word and waits for it.
func Echoes(conn net.Conn) error {
	const word = "hello"
	if _, err := io.WriteString(conn, word); err != nil {
		return err
	}
	b := make([]byte, 100) // a datagram of another size is not cut
	n, err := io.ReadAtLeast(conn, b, len(word))
	if err == nil && string(b[:n]) != word {
		err = fmt.Errorf("%q came back", b[:n])
	}
	return err
}

// Eventually reports whether ok becomes true while a test has patience.
func Eventually(ok func() bool) bool { return eventually(patience, ok) }
