package runtimetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"vpn/internal/engine"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// Echo is the protocol of the suite's worker. A client sends its secret and a
// command, each on a line, and reads a line, "ok" or what went wrong. The
// commands are
//
//	echo         from then on every byte comes back, counted up and down
//	open PATH    reads the file, or lists the directory, as the worker may
//	create PATH  makes a file
//	dial ADDR    opens a TCP connection
//	resolve NAME looks the name up
//	write PATH   opens the file to write to it
//	unix PATH    connects to a unix socket; @NAME to an abstract one
//	signal PID   asks whether the process may be sent signals
//	ptrace PID   attaches to a process
//	memory PID   reads the memory of a process
//	become root  makes root its uid
//	capabilities takes all capabilities that there are
//	execute PATH runs a program
//	mount PATH   mounts a file system there
//	environ NAME reads the environment
//	panic        breaks the engine
const Echo vpn.Protocol = "echo"

// EchoSettings are the settings of an echo server.
type EchoSettings struct {
	Fail  string `json:"fail,omitempty"`  // Apply fails and says so
	Panic bool   `json:"panic,omitempty"` // Apply panics
}

// echo is an engine that is as simple as one can be and still counts, cuts and
// changes its users while they are connected.
type echo struct {
	engine.Config

	mu       sync.Mutex
	listener net.Listener
	addr     string
	grants   []vpn.Grant
	conns    map[net.Conn]bool
}

func newEcho(c engine.Config) (engine.Engine, error) {
	return &echo{Config: c, conns: map[net.Conn]bool{}}, nil
}

func (e *echo) Apply(_ context.Context, s vpn.Spec) error {
	var settings EchoSettings
	if len(s.Server.Settings) > 0 {
		if err := json.Unmarshal(s.Server.Settings, &settings); err != nil {
			return err
		}
	}
	if settings.Panic {
		panic("told to")
	}
	if settings.Fail != "" {
		return errors.New(settings.Fail)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.grants = s.Grants
	addr := netip.AddrPortFrom(s.Server.Listen, s.Server.Port).String()
	if e.listener != nil && e.addr == addr {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if e.listener != nil {
		e.listener.Close()
	}
	e.listener, e.addr = l, addr
	go e.accept(l)
	return nil
}

func (e *echo) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		e.listener.Close()
	}
	for c := range e.conns {
		c.Close()
	}
	return nil
}

func (e *echo) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		e.conns[c] = true
		e.mu.Unlock()
		go func() {
			defer func() {
				c.Close()
				e.mu.Lock()
				delete(e.conns, c)
				e.mu.Unlock()
			}()
			if err := e.serve(c); err != nil {
				fmt.Fprintln(c, err)
			}
		}()
	}
}

func (e *echo) serve(c net.Conn) error {
	in := bufio.NewReader(c)
	secret, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	command, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	source := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	flow, err := e.Meter.Open(e.credential(strings.TrimSpace(secret)), source, "tcp", func(error) { c.Close() })
	if err != nil {
		return err
	}
	defer flow.Close()
	verb, operand, _ := strings.Cut(strings.TrimSpace(command), " ")
	if err := do(verb, operand); err != nil {
		return err
	}
	fmt.Fprintln(c, "ok")
	if verb != "echo" {
		return nil
	}
	_ = repeat(flow, c, in)
	return nil
}

// credential returns whose secret it is.
func (e *echo) credential(secret string) vpn.CredentialID {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.grants {
		if g.Secret.Equal(vpn.NewSecret(secret)) {
			return g.Credential
		}
	}
	return ""
}

// do does what a command asks for.
func do(verb, operand string) error {
	switch verb {
	case "echo":
		return nil
	case "open":
		f, err := os.Open(operand)
		if err != nil {
			return err
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.IsDir() {
			_, err = f.ReadDir(-1)
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return err
	case "create":
		f, err := os.Create(operand)
		if err != nil {
			return err
		}
		return f.Close()
	case "dial":
		c, err := net.Dial("tcp", operand)
		if err != nil {
			return err
		}
		return c.Close()
	case "resolve":
		_, err := net.LookupHost(operand)
		return err
	case "signal", "ptrace", "memory":
		pid, err := strconv.Atoi(operand)
		if err != nil {
			return err
		}
		return reach(verb, pid)
	case "environ":
		if _, ok := os.LookupEnv(operand); !ok {
			return errors.New("not set")
		}
		return nil
	case "panic":
		panic("told to")
	case "write", "unix", "become", "capabilities", "execute", "mount":
		return trespass(verb, operand)
	}
	return fmt.Errorf("unknown command %q", verb)
}

// repeat sends back what comes in.
func repeat(flow *meter.Flow, c net.Conn, in io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return err
		}
		up, err := flow.Wait(context.Background(), meter.Up, n)
		if err != nil {
			return err
		}
		down, err := flow.Wait(context.Background(), meter.Down, up)
		if err != nil {
			return err
		}
		if _, err := c.Write(buf[:down]); err != nil {
			return err
		}
	}
}

// Dial connects to an echo server as whoever has the secret, gives a command
// and returns the connection after the worker's "ok"; else its answer as an
// error.
func Dial(ctx context.Context, addr netip.AddrPort, secret, command string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	if _, err := fmt.Fprintf(c, "%s\n%s\n", secret, command); err != nil {
		c.Close()
		return nil, err
	}
	answer, err := readLine(c)
	if err == nil && answer != "ok" {
		err = errors.New(answer)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// readLine reads a line and not a byte more.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}
