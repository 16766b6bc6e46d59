package vless

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/xtls/reality"
	xreality "github.com/xtls/xray-core/transport/internet/reality"

	"vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

// A facade is what strangers see of a server, and clients before they have
// shown that they are none: the handshake of a web site, the target.
type facade struct {
	config *reality.Config
	site   *site // nil: the target is somebody else's
	stop   context.CancelFunc
}

// newFacade makes the facade of a server, and begins to find out how the
// target behaves.
func newFacade(spec vpn.ServerSpec, log *slog.Logger) (*facade, error) {
	set, err := vless.ParseSettings(spec.Settings)
	if err != nil {
		return nil, err
	}
	keys, err := vless.ParseKeys(spec.Private)
	if err != nil {
		return nil, err
	}
	config, err := realityConfig(set, keys)
	if err != nil {
		return nil, err
	}
	f := &facade{config: config}
	if set.Target == vless.SelfTarget {
		if f.site, err = newSite(keys.SelfCert, keys.SelfKey); err != nil {
			return nil, err
		}
		config.Dest = f.site.addr()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	config.DialContext = dialTarget(ctx)
	imitate(ctx, config, set.RecordLengths, log)
	return f, nil
}

func (f *facade) close() {
	f.stop()
	if f.site != nil {
		f.site.close()
	}
}

func realityConfig(set vless.Settings, keys vless.Keys) (*reality.Config, error) {
	if set.Target == "" || set.Target == vless.AutoTarget || len(set.ServerNames) == 0 || len(set.ShortIDs) == 0 {
		return nil, vpn.Errorf(vpn.Invalid, "the server's settings are not complete").
			WithHint("it needs a target, a server name and a short id")
	}
	key, err := base64.RawURLEncoding.DecodeString(keys.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("decode the private key: %w", err)
	}
	c := xreality.Config{Dest: set.Target, Type: "tcp", ServerNames: set.ServerNames, PrivateKey: key}
	for _, s := range set.ShortIDs {
		id := make([]byte, 8) // a shorter one is followed by zeros
		if _, err := hex.Decode(id, []byte(s)); err != nil {
			return nil, fmt.Errorf("decode a short id: %w", err)
		}
		c.ShortIds = append(c.ShortIds, id)
	}
	return c.GetREALITYConfig(), nil
}

// dialTarget returns a function that connects to the target until life ends.
// The connection ends with its context: package reality by itself waits for
// a silent target for ever. The guard has no part in it: the target is the
// operator's choice, not a user's.
func dialTarget(life context.Context) func(ctx context.Context, network, address string) (net.Conn, error) {
	const timeout = 8 * time.Second
	d := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialing, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		conn, err := d.DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		return conn, nil
	}
}
