package vless_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xtls/xray-core/app/dispatcher"
	"github.com/xtls/xray-core/app/policy"
	"github.com/xtls/xray-core/app/proxyman"
	_ "github.com/xtls/xray-core/app/proxyman/outbound"
	"github.com/xtls/xray-core/common/log"
	xnet "github.com/xtls/xray-core/common/net"
	"github.com/xtls/xray-core/common/protocol"
	"github.com/xtls/xray-core/common/serial"
	"github.com/xtls/xray-core/common/session"
	"github.com/xtls/xray-core/core"
	"github.com/xtls/xray-core/proxy/vless"
	"github.com/xtls/xray-core/proxy/vless/outbound"
	"github.com/xtls/xray-core/transport/internet"
	"github.com/xtls/xray-core/transport/internet/reality"
	"github.com/xtls/xray-core/transport/internet/tcp"
	"google.golang.org/protobuf/proto"
)

// The client of these tests is xray-core in a process of its own, since one
// process can be one xray only. It is this test binary, told by asClient, and
// carries a connection for each that is made to it: a line of JSON says where
// to, and the rest is the connection itself, datagrams with their length in
// front.

const asClient = "VPN_TEST_XRAY_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(asClient) != "" {
		if err := runClient(); err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A way is how the client reaches a server, and whom as.
type way struct {
	Server     netip.AddrPort
	From       netip.Addr
	UUID       string
	Flow       string
	ServerName string
	PublicKey  string
	ShortID    string
}

type request struct {
	Way              way
	Network, Address string
}

// A clientProcess is the client as seen from the tests.
type clientProcess struct {
	addr  string
	stdin io.Closer
	cmd   *exec.Cmd
}

func startClient(t testing.TB) *clientProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// xray races with itself, which is nothing to us: see GORACE.
	cmd.Env = append(os.Environ(), asClient+"=1", "GORACE=atexit_sleep_ms=10 log_path="+filepath.Join(t.TempDir(), "race"))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the client does not start: %v", err)
	}
	return &clientProcess{strings.TrimSpace(line), stdin, cmd}
}

func (p *clientProcess) dial(ctx context.Context, w way, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(conn).Encode(request{w, network, address}); err != nil {
		return nil, err
	}
	if network == "udp" {
		return &framed{Conn: conn}, nil
	}
	return conn, nil
}

// framed keeps datagrams apart on a stream.
type framed struct {
	net.Conn
	mu sync.Mutex
}

func (f *framed) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.Conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *framed) Read(b []byte) (int, error) {
	var n [2]byte
	if _, err := io.ReadFull(f.Conn, n[:]); err != nil {
		return 0, err
	}
	return io.ReadFull(f.Conn, b[:binary.BigEndian.Uint16(n[:])])
}

// runClient is the other process.
func runClient() error {
	log.RegisterHandler(silence{}) // its log would go to the standard output
	now := &policy.Second{}        // an ended connection ends at once, both ways
	instance, err := core.New(&core.Config{App: messages(
		&policy.Config{Level: map[uint32]*policy.Policy{0: {Timeout: &policy.Policy_Timeout{UplinkOnly: now, DownlinkOnly: now}}}},
		&dispatcher.Config{},
		&proxyman.OutboundConfig{},
	)})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the tests end
		os.Exit(0)
	}()
	c := client{instance: instance, tags: map[way]string{}}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := c.serve(conn.(*net.TCPConn)); err != nil {
				fmt.Fprintln(os.Stderr, "client:", err)
			}
		}()
	}
}

type silence struct{}

func (silence) Handle(m log.Message) {
	if os.Getenv(asClient) == "loud" {
		fmt.Fprintln(os.Stderr, "client:", m)
	}
}

type client struct {
	instance *core.Instance

	mu   sync.Mutex
	tags map[way]string
}

func (c *client) serve(conn *net.TCPConn) error {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	dest, err := xnet.ParseDestination(r.Network + ":" + r.Address)
	if err != nil {
		return err
	}
	tag, err := c.tag(r.Way)
	if err != nil {
		return err
	}
	ctx := session.SetForcedOutboundTagToContext(context.Background(), tag)
	remote, err := core.Dial(ctx, c.instance, dest)
	if err != nil {
		return err
	}
	defer func() { _ = remote.Close() }()
	go func() {
		defer func() { _ = remote.Close() }()
		if r.Network == "udp" {
			copyFrames(remote, in)
		} else {
			_, _ = io.Copy(struct{ io.Writer }{remote}, in)
		}
	}()
	if r.Network == "udp" {
		buf := make([]byte, 64<<10)
		out := &framed{Conn: conn}
		for {
			n, err := remote.Read(buf)
			if err != nil {
				return nil
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return nil
			}
		}
	}
	_, err = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{remote})
	if err != nil && !errors.Is(err, io.EOF) {
		_ = conn.SetLinger(0)
	}
	return nil
}

func copyFrames(to io.Writer, from io.Reader) {
	for {
		var n [2]byte
		if _, err := io.ReadFull(from, n[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(from, b); err != nil {
			return
		}
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}

// tag returns the outbound for a way.
func (c *client) tag(w way) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tags[w]; ok {
		return t, nil
	}
	key, err := base64.RawURLEncoding.DecodeString(w.PublicKey)
	if err != nil {
		return "", err
	}
	id := make([]byte, 8)
	if _, err := hex.Decode(id, []byte(w.ShortID)); err != nil {
		return "", err
	}
	sender := &proxyman.SenderConfig{StreamSettings: &internet.StreamConfig{
		ProtocolName:      "tcp",
		TransportSettings: []*internet.TransportConfig{{ProtocolName: "tcp", Settings: serial.ToTypedMessage(&tcp.Config{})}},
		SecurityType:      serial.GetMessageType(&reality.Config{}),
		SecuritySettings: messages(&reality.Config{
			Fingerprint: "chrome", ServerName: w.ServerName, PublicKey: key, ShortId: id, SpiderX: "/", SpiderY: make([]int64, 10),
		}),
	}}
	if w.From.IsValid() {
		sender.Via = xnet.NewIPOrDomain(xnet.ParseAddress(w.From.String()))
	}
	tag := fmt.Sprint("way", len(c.tags))
	account := &vless.Account{Id: w.UUID, Flow: w.Flow, Encryption: "none"}
	err = core.AddOutboundHandler(c.instance, &core.OutboundHandlerConfig{
		Tag:            tag,
		SenderSettings: serial.ToTypedMessage(sender),
		ProxySettings: serial.ToTypedMessage(&outbound.Config{Vnext: &protocol.ServerEndpoint{
			Address: xnet.NewIPOrDomain(xnet.ParseAddress(w.Server.Addr().String())),
			Port:    uint32(w.Server.Port()),
			User:    &protocol.User{Account: serial.ToTypedMessage(account)},
		}}),
	})
	if err != nil {
		return "", err
	}
	c.tags[w] = tag
	return tag, nil
}

func messages(ms ...proto.Message) []*serial.TypedMessage {
	var out []*serial.TypedMessage
	for _, m := range ms {
		out = append(out, serial.ToTypedMessage(m))
	}
	return out
}
