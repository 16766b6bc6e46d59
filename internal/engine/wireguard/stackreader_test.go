package wireguard

import (
	"errors"
	"io"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// An association that was closed, as those of a user who is cut are, has an
// end: it is no row of empty datagrams.
func TestAClosedEndpointHasAnEnd(t *testing.T) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{udp.NewProtocol},
	})
	t.Cleanup(s.Destroy)
	var queue waiter.Queue
	ep, failed := s.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	if failed != nil {
		t.Fatal(failed)
	}
	r := readStack(ep, &queue)
	defer r.stop()
	ep.Close()
	if b, _, err := r.read(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes and %v of an endpoint that is closed", len(b), err)
	}
}
