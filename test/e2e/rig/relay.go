//go:build linux

package rig

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// portion is what test/relay calls Portion, and explains.
type portion struct {
	Args   []string `json:"args"`
	Stream int      `json:"stream"`
	Data   []byte   `json:"data"`
	Closed bool     `json:"closed"`
	Exited bool     `json:"exited"`
	Status int      `json:"status"`
}

// Offer puts a program of the host's into the PATH of those for Windows, as
// name.exe. Each time that they start it, it gets args before theirs, and an
// environment with nothing in it but PATH and a HOME of the test's own. If
// name.exe is killed, so is the program.
func (w *Windows) Offer(name, program string, args ...string) {
	w.t.Helper()
	exe := filepath.Join(w.bin, name+".exe")
	if err := os.Link(windowsProgram(w.t, "relay", "./test/relay"), exe); err != nil {
		w.t.Fatal(err)
	}
	l := w.host.Listen(w.t, "127.0.0.1:0")
	if err := os.WriteFile(exe+".addr", []byte(l.Addr().String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.relays.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.busy.Add(1)
			w.relays.Go(func() {
				defer w.busy.Add(-1)
				serveRelay(w.t, conn, w.host, w.dir, program, args)
			})
		}
	})
}

// Idle returns an error while a program runs that was offered.
func (w *Windows) Idle() error {
	if n := w.busy.Load(); n > 0 {
		return fmt.Errorf("%d programs run", n)
	}
	return nil
}

// serveRelay runs the program for one name.exe.
func serveRelay(t testing.TB, conn net.Conn, h *Host, home, program string, args []string) {
	defer conn.Close()
	from, to := json.NewDecoder(conn), json.NewEncoder(conn)
	var first portion
	if err := from.Decode(&first); err != nil {
		return // it was killed before it began
	}
	cmd := exec.Command(program, append(args[:len(args):len(args)], first.Args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	var writing sync.Mutex
	send := func(p portion) error {
		writing.Lock()
		defer writing.Unlock()
		return to.Encode(p)
	}
	cmd.Stdout, cmd.Stderr = relayed{1, send}, relayed{2, send}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = h.Start(cmd)
	}
	if err != nil {
		t.Errorf("start %s: %v", program, err)
		return
	}
	go func() {
		for {
			var p portion
			if err := from.Decode(&p); err != nil {
				_ = cmd.Process.Kill() // name.exe is no more; if the program has ended, neither is it
				return
			}
			_, _ = stdin.Write(p.Data) // it may not want it
			if p.Closed {
				stdin.Close()
			}
		}
	}()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		t.Errorf("wait for %s: %v", program, err)
	}
	_ = send(portion{Exited: true, Status: cmd.ProcessState.ExitCode()})
}

// relayed is one of the program's streams on its way.
type relayed struct {
	stream int
	send   func(portion) error
}

func (r relayed) Write(data []byte) (int, error) {
	if err := r.send(portion{Stream: r.stream, Data: data}); err != nil {
		return 0, err
	}
	return len(data), nil
}
