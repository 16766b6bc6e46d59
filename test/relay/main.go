// Relay is a program of Windows in whose place one of Linux does the work, as
// ssh.exe is whose work OpenSSH does. Wine would start that itself, but gives
// whoever starts it neither its streams nor its end.
//
// Its own file, with .addr after the name, says where package rig listens.
// What goes there and what comes back is a [Portion] of JSON after the other.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// Portion is some of a stream. The first one has the arguments, the last one
// the exit status.
type Portion struct {
	Args   []string `json:"args,omitempty"`
	Stream int      `json:"stream,omitempty"` // by number: standard input, output, error
	Data   []byte   `json:"data,omitempty"`
	Closed bool     `json:"closed,omitempty"` // there is no more of this stream
	Exited bool     `json:"exited,omitempty"`
	Status int      `json:"status,omitempty"`
}

func main() {
	status, err := relay()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		status = 1
	}
	os.Exit(status)
}

func relay() (status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	addr, err := os.ReadFile(self + ".addr")
	if err != nil {
		return 0, err
	}
	conn, err := net.Dial("tcp", strings.TrimSpace(string(addr)))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	out := json.NewEncoder(conn)
	if err := out.Encode(Portion{Args: os.Args[1:]}); err != nil {
		return 0, err
	}
	go func() { // the only one that writes from here on
		data := make([]byte, 32<<10)
		for {
			n, err := os.Stdin.Read(data)
			_ = out.Encode(Portion{Data: data[:n], Closed: err != nil}) // whoever does not read it has ended
			if err != nil {
				return
			}
		}
	}()
	in := json.NewDecoder(conn)
	for {
		var p Portion
		if err := in.Decode(&p); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if p.Exited {
			return p.Status, nil
		}
		stream := os.Stdout
		if p.Stream == 2 {
			stream = os.Stderr
		}
		if _, err := stream.Write(p.Data); err != nil {
			return 0, err
		}
	}
}
