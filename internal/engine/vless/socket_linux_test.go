package vless

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

func TestSocketReader(t *testing.T) {
	for name, end := range map[string]struct {
		linger int
		want   error
	}{"close": {-1, io.EOF}, "reset": {0, syscall.ECONNRESET}} {
		t.Run(name, func(t *testing.T) {
			conn, peer := pair(t)
			raw, err := conn.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(conn, raw)
			sent := make([]byte, 1<<20)
			for i := range sent {
				sent[i] = byte(i * 7 >> 3)
			}
			go func() { _, _ = peer.Write(sent) }()
			var got []byte
			for len(got) < len(sent) {
				mb, err := r.ReadMultiBuffer()
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range mb {
					got = append(got, b.Bytes()...)
					b.Release()
				}
			}
			if string(got) != string(sent) {
				t.Error("other bytes came")
			}
			waiting := make(chan error, 1)
			go func() {
				_, err := r.ReadMultiBuffer()
				waiting <- err
			}()
			<-time.After(10 * time.Millisecond) // so that it waits already
			_ = peer.SetLinger(end.linger)
			_ = peer.Close()
			select {
			case err := <-waiting:
				if !errors.Is(err, end.want) {
					t.Errorf("error %v", err)
				}
			case <-time.After(time.Second):
				t.Error("the end went unnoticed")
			}
		})
	}
}
