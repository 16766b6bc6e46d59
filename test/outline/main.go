// Outline is a Shadowsocks server that is nothing but Outline's library, with
// one key: what ours is measured against. It reaches any destination, counts
// nothing and limits nobody.
//
//	outline ADDRESS METHOD PASSWORD
package main

import (
	"container/list"
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/Jigsaw-Code/outline-sdk/transport"
	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: outline ADDRESS METHOD PASSWORD")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "outline:", err)
		os.Exit(1)
	}
}

func serve(address, method, password string) error {
	key, err := shadowsocks.NewEncryptionKey(method, password)
	if err != nil {
		return err
	}
	entry := service.MakeCipherEntry("key", key, password)
	ciphers, keys := service.NewCipherList(), list.New()
	keys.PushBack(&entry)
	ciphers.Update(keys)

	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	anywhere := func(net.IP) error { return nil }
	replays := service.NewReplayCache(service.MaxCapacity)
	streams := service.NewStreamHandler(service.NewShadowsocksStreamAuthenticator(ciphers, &replays, nil, nil), time.Minute)
	streams.SetTargetDialer(service.MakeValidatingTCPStreamDialer(anywhere, 0))
	associations := service.NewAssociationHandler(ciphers, nil)
	associations.SetTargetIPValidator(anywhere)
	go service.PacketServe(packets, func(ctx context.Context, conn net.Conn) {
		associations.HandleAssociation(ctx, conn, &service.NoOpUDPAssociationMetrics{})
	}, nobody{})
	service.StreamServe(service.WrapStreamAcceptFunc(ln.(*net.TCPListener).AcceptTCP), func(ctx context.Context, conn transport.StreamConn) {
		streams.HandleStream(ctx, conn, nil)
	})
	return nil
}

// nobody hears of associations.
type nobody struct{}

func (nobody) AddNATEntry()    {}
func (nobody) RemoveNATEntry() {}
