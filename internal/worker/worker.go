// Package worker is the process around one engine: it serves one server to
// users and a small API to the control plane ([Main]), and it is the client of
// that API ([Client]).
//
// A worker needs nobody: it lives on when the control plane is killed, serves
// one control plane after the other, and enforces by itself what it was told.
// It opens no store, reads no configuration, starts no process and decides
// nothing about users. How it was started and what ends it is the business of
// the packages below runtime.
package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"vpn/internal/engine"
	"vpn/internal/vpn"
)

// What a worker finds open when it starts, after the standard three. Its log
// is standard error.
const (
	ListenerFD = 3 // a unix stream socket that is bound and listens: the API's
	FinalFD    = 4 // an empty file for the final counters; with [StateEnv] it stays empty
	TunnelFD   = 5 // a TUN device, for an engine that can use one; it may be missing
)

// Command is the argument that makes the binary a worker; the server's name
// follows it, for whoever lists processes.
const Command = "worker"

// Options say what a worker can run.
type Options struct {
	Engines map[vpn.Protocol]engine.New
	Version string
	Log     *slog.Logger // nil: text on standard error

	// Adjust changes how Log writes, while it is in use; what it does not know
	// is an error of kind [vpn.Invalid]. nil: the log stays as it is.
	Adjust func(vpn.Logging) error
}

const (
	// gcPercent trades some CPU for memory: a worker's heap is small beside
	// its connections' buffers, and several workers share a machine.
	gcPercent = 50
	// ballast is memory that nobody touches, so that it occupies none; the
	// garbage collector counts it. Without it a worker with few connections
	// would collect after each 2 MB, and a new session take a fifth more CPU:
	// so it is 4 MB more.
	ballast = 8 << 20
	// startOver is when the start is over: by then it has been told its users,
	// and what was needed for that can be given back.
	startOver = 5 * time.Second
	// linger is how long the last answers may take to be read.
	linger = time.Second
)

// Main is the life of a worker, from the start of its process: it gives up
// every privilege that it does not need, serves its API, and returns after an
// orderly stop, which POST /v1/stop, SIGTERM and the end of ctx ask for. By
// then the final counters are in the file that it was given.
//
// On Linux it executes the binary a second time, with the same arguments:
// nothing with an effect may come before it.
func Main(ctx context.Context, o Options) error {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer cancel()
	if err := claim(ListenerFD); err != nil {
		return vpn.Errorf(vpn.Invalid, "a worker is started by the control plane, not by hand: %w", err).
			WithHint("run: vpn serve")
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	confined, err := confine(log)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	defer runtime.KeepAlive(make([]byte, ballast))
	defer time.AfterFunc(startOver, debug.FreeOSMemory).Stop()
	l, err := inherit(ListenerFD)
	if err != nil {
		return err
	}
	file := os.NewFile(FinalFD, "final counters")
	defer file.Close()
	own := hostOptions{
		engines: o.Engines, version: o.Version, log: log, epoch: newEpoch(), final: file, confined: confined,
		tunnel: tunnel(), anywhere: os.Getenv(AnywhereEnv) != "", adjust: o.Adjust,
	}
	var last *vpn.Spec
	if dir := os.Getenv(StateEnv); dir != "" {
		own.state, last = openState(dir, log)
		own.final = own.state.final(own.epoch)
	}
	h := newHost(own)
	if last != nil {
		go h.resume(ctx, *last)
	}
	log.Info("worker runs", slog.Int("pid", os.Getpid()), slog.Int("uid", os.Getuid()),
		slog.Bool("confined", confined), slog.String("epoch", h.epoch), slog.String("version", o.Version))
	return serve(ctx, l, h)
}

// Serve is [Main] without what concerns the process: a worker inside another
// program, for tests of those who talk to workers. It returns after an orderly
// stop, with the final counters in final.
func Serve(ctx context.Context, l net.Listener, final io.Writer, o Options) error {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return serve(ctx, l, newHost(hostOptions{engines: o.Engines, version: o.Version, log: log, epoch: newEpoch(), final: final, adjust: o.Adjust}))
}

// serve answers on l until h is stopped or ctx ends.
func serve(ctx context.Context, l net.Listener, h *host) error {
	srv := &http.Server{
		Handler:           h.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	watch, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go watchAddresses(watch, h.guard, h.log)
	var err error
	ordered := false
	select {
	case <-ctx.Done():
	case <-h.stopping:
		ordered = true
	case err = <-failed:
		err = fmt.Errorf("serve the control socket: %w", err)
	}
	_, stopErr := h.stop()
	if h.state != nil {
		h.state.close(ordered)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), linger)
	defer cancel()
	// Whoever does not read its answer by then goes without.
	_ = srv.Shutdown(last)
	h.log.Info("worker ends")
	return errors.Join(err, stopErr)
}

// inherit makes a listener of an open descriptor, which it takes over.
func inherit(fd uintptr) (net.Listener, error) {
	f := os.NewFile(fd, "control socket")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the control socket: %w", err)
	}
	return l, nil
}

// newEpoch returns 128 random bits.
func newEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
