// Package docker runs workers in containers of this machine's Docker engine:
// the same binary, alone in an image that is made of it, found again by the
// container's labels after any crash of the control plane.
//
// What a container is, its labels say: objects without this store's are never
// touched, whatever they are called. What happens to containers is known from
// the engine's events; nothing is polled. A container whose worker crashed is
// started anew by the engine, and serves at once what it was told last; one
// that is missing is the control plane's to start. The package knows nothing
// of specs and counters but that a worker leaves its last ones in a file, and
// it asks nobody's store.
package docker

import (
	"context"
	"log/slog"
	"net/netip"
	"regexp"
	"time"

	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// Options say where workers live.
type Options struct {
	// Store is the store's id. Objects of the engine that carry it are this
	// runtime's, and no others.
	Store string

	// Dir holds a directory for each server, with what its worker keeps and
	// its control socket; LogDir holds the logs. Both exist, and nobody but
	// the control plane's user may write there.
	Dir, LogDir string

	// Engine runs the containers, of Image. Neither is asked for anything
	// before there is a server that needs it.
	Engine *engine.Engine
	Image  *engine.Image

	// Tunnel makes or finds the TUN device of a server whose worker is about
	// to start, with its rules in place, and returns its name, or "" if it is
	// to have none. The device belongs to the uid owner, and stays when no
	// process has it open. A nil function makes none.
	Tunnel func(s vpn.Server, owner uint32) (device string, err error)

	// Subnets returns subnets for a new network that overlap nothing here; nil
	// leaves that to the engine.
	Subnets func(ctx context.Context) (four, six netip.Prefix, err error)

	// Health is how the engine finds out that a worker does not answer; the
	// zero value leaves that to the image.
	Health Health

	Log *slog.Logger // nil: nowhere
}

// Health is how often a container is asked whether it is well, how long an
// answer may take, and how many in a row have to be missing. What is zero, the
// image says.
type Health struct {
	Interval, Timeout time.Duration
	Retries           int
}

// Labels of what belongs to a store.
const (
	labelStore  = "vpn.store"
	labelServer = "vpn.server"
	labelName   = "vpn.name"

	// labelKept says where a container's worker keeps what outlives it, if
	// that is not the directory of [Options].Dir: keptInVolume.
	labelKept    = "vpn.kept"
	keptInVolume = "volume"
	// labelHelper is on containers that are never started, see helper.
	labelHelper = "vpn.helper"
)

var validID = regexp.MustCompile(`^[a-z2-7]{16}$`)

func badID(id vpn.ServerID) error {
	return vpn.Errorf(vpn.Invalid, "%q is not the id of a server", string(id))
}

const hostNetwork = "host"
