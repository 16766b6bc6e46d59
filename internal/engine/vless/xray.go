package vless

import (
	"fmt"
	"log/slog"
	"regexp"
	"sync"

	"github.com/xtls/xray-core/app/policy"
	"github.com/xtls/xray-core/common/log"
	"github.com/xtls/xray-core/common/serial"
	"github.com/xtls/xray-core/core"
	"github.com/xtls/xray-core/features"
	"github.com/xtls/xray-core/features/inbound"
	"github.com/xtls/xray-core/features/outbound"
	"github.com/xtls/xray-core/features/routing"
	"github.com/xtls/xray-core/proxy"
	vlessin "github.com/xtls/xray-core/proxy/vless/inbound"

	"vpn/internal/vpn"
)

// handshakeSeconds is how long an authenticated client may take to say where
// it wants to go.
const handshakeSeconds = 8

// A door is xray's VLESS: it lets users in and names them.
type door struct {
	proxy.Inbound
	users      proxy.UserManager
	dispatcher routing.Dispatcher
}

// newDoor makes xray's VLESS inbound, which hands its sessions to d. The
// instance around it is never started: nothing in it has anything to start.
func newDoor(d routing.Dispatcher) (*door, error) {
	instance, err := core.New(&core.Config{App: []*serial.TypedMessage{
		serial.ToTypedMessage(&policy.Config{Level: map[uint32]*policy.Policy{
			0: {Timeout: &policy.Policy_Timeout{Handshake: &policy.Second{Value: handshakeSeconds}}},
		}}),
	}})
	if err != nil {
		return nil, fmt.Errorf("make an xray instance: %w", err)
	}
	for _, f := range []features.Feature{d, noInbounds{}, noOutbounds{}} {
		if err := instance.AddFeature(f); err != nil {
			return nil, fmt.Errorf("add %T to xray: %w", f, err)
		}
	}
	handler, err := core.CreateObject(instance, &vlessin.Config{Decryption: "none"})
	if err != nil {
		return nil, fmt.Errorf("make an xray inbound: %w", err)
	}
	in, ok := handler.(*vlessin.Handler)
	if !ok {
		return nil, fmt.Errorf("make an xray inbound: got %T", handler)
	}
	return &door{Inbound: in, users: in, dispatcher: d}, nil
}

// noInbounds and noOutbounds are there because xray's VLESS asks for them; it
// uses them for accounts that may open a reverse tunnel, and there are none.
type (
	noInbounds  struct{ inbound.Manager }
	noOutbounds struct{ outbound.Manager }
)

func (noInbounds) Type() any     { return inbound.ManagerType() }
func (noInbounds) Start() error  { return nil }
func (noInbounds) Close() error  { return nil }
func (noOutbounds) Type() any    { return outbound.ManagerType() }
func (noOutbounds) Start() error { return nil }
func (noOutbounds) Close() error { return nil }

// xrayLog passes on what xray warns about. The rest is the small talk of
// every connection and every stranger.
type xrayLog struct{ log *slog.Logger }

// Handle implements [log.Handler].
func (l xrayLog) Handle(m log.Message) {
	g, ok := m.(*log.GeneralMessage)
	if !ok {
		return
	}
	switch g.Severity {
	case log.Severity_Warning:
		l.log.Warn("xray warns", slog.String("message", withoutSecrets(g.String())))
	case log.Severity_Error:
		l.log.Error("xray reports an error", slog.String("message", withoutSecrets(g.String())))
	}
}

// uuids is compiled when xray has something to tell: few processes ever hear it.
var uuids = sync.OnceValue(func() *regexp.Regexp { //nolint:gochecknoglobals // compiled once, and only if it is needed
	return regexp.MustCompile(`(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}`)
})

// withoutSecrets hides the UUIDs that xray likes to quote.
func withoutSecrets(s string) string { return uuids().ReplaceAllString(s, vpn.Secret{}.String()) }
