package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"vpn/internal/app"
	"vpn/internal/firewall"
	"vpn/internal/protocol"
	"vpn/internal/router"
	"vpn/internal/vpn"
)

// tunnels are the TUN devices of one store's servers. The rules around them
// outlive this process; what is in here is only what it knows of them.
type tunnels struct {
	store     string
	protocols protocol.Set
	firewall  firewall.Firewall
	log       *slog.Logger

	mu sync.Mutex
	// Guarded by mu, which is held while rules are changed.
	applied  map[vpn.ServerID]router.Tunnel
	problems map[vpn.ServerID]string // why a server has no device that it should have
}

var _ app.Tunnels = (*tunnels)(nil)

func newTunnels(store string, ps protocol.Set, log *slog.Logger) *tunnels {
	return &tunnels{
		store: store, protocols: ps, log: log,
		applied: map[vpn.ServerID]router.Tunnel{}, problems: map[vpn.ServerID]string{},
	}
}

// wanted returns the device that s is meant to have, nil for none.
func (t *tunnels) wanted(s vpn.Server) (*vpn.Tunnel, error) {
	p, err := t.protocols.Get(s.Protocol)
	if err != nil {
		return nil, err
	}
	tunneler, ok := p.(protocol.Tunneler)
	if !ok {
		return nil, nil
	}
	return tunneler.Tunnel(s)
}

// open makes the device of a server whose worker is about to start, with its
// rules in place. A host that cannot have it is no error: the worker gets none
// then, and carries packets in user space.
func (t *tunnels) open(s vpn.Server) (*os.File, error) {
	want, err := t.wanted(s)
	if err != nil || want == nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.make(s, *want)
}

// keep is open for a worker that opens its device by itself, as a process of
// the user owner: the device stays when nobody has it open. It returns its
// name, empty for none.
func (t *tunnels) keep(s vpn.Server, owner uint32) (string, error) {
	want, err := t.wanted(s)
	if err != nil || want == nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(s.ID) // of the last worker's
	device, err := t.make(s, *want)
	if err != nil || device == nil {
		return "", err
	}
	if err := errors.Join(router.Persist(device, owner), device.Close()); err != nil {
		return "", err
	}
	return router.Device(s.ID), nil
}

// drop takes away a device that was kept, if it is ours: there are rules for
// it.
func (t *tunnels) drop(id vpn.ServerID) {
	if there, err := router.Servers(t.store); err != nil || !slices.Contains(there, id) {
		return
	}
	if err := router.Drop(id); err != nil {
		t.log.Warn("a tunnel's device is left", slog.String("device", router.Device(id)), slog.Any("err", err))
	}
}

// make makes a device with its rules, or says why s has none.
func (t *tunnels) make(s vpn.Server, want vpn.Tunnel) (*os.File, error) {
	delete(t.problems, s.ID)
	device, err := router.Open(s.ID)
	if err == nil {
		if err = t.apply(s, want); err == nil {
			return device, nil
		}
		_ = device.Close()
	}
	if kind := vpn.KindOf(err); kind == vpn.Conflict || kind == vpn.Invalid {
		return nil, err // it may pass, or is our mistake
	}
	_ = router.Remove(t.store, s.ID)
	t.log.Info("server gets no TUN device and carries packets in user space", slog.String("server", s.Name), slog.Any("err", err))
	if want.Asked || vpn.KindOf(err) == vpn.Internal {
		t.problems[s.ID] = fmt.Sprintf("server %s carries packets in user space, which is slower: %v", s.Name, err)
		if e, ok := errors.AsType[*vpn.Error](err); ok && e.Hint != "" {
			t.problems[s.ID] += "; " + e.Hint
		}
	}
	return nil, nil
}

// Apply makes the device of s and the rules around it what s says.
func (t *tunnels) Apply(s vpn.Server) error {
	want, err := t.wanted(s)
	if err != nil || want == nil || !router.Exists(s.ID) {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.apply(s, *want)
}

func (t *tunnels) apply(s vpn.Server, want vpn.Tunnel) error {
	tunnel := router.Tunnel{
		Store: t.store, Server: s.ID, Addresses: want.Addresses, MTU: want.MTU, Allow: s.Allow, Between: want.Between,
		Changes: t.applied[s.ID].Changes,
	}
	var err error
	if tunnel.Changes, err = router.Apply(tunnel); err != nil {
		return err
	}
	t.applied[s.ID] = tunnel
	return nil
}

// Remove takes away the rules of a server.
func (t *tunnels) Remove(id vpn.ServerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.problems, id)
	delete(t.applied, id)
	if router.Exists(id) {
		t.drop(id)
	}
	return unprivileged(router.Remove(t.store, id))
}

// Collect takes away the rules of servers that are not among the living.
func (t *tunnels) Collect(living []vpn.ServerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if there, err := router.Servers(t.store); err == nil {
		for _, id := range there {
			if !slices.Contains(living, id) && router.Exists(id) {
				t.drop(id)
			}
		}
	}
	gone, err := router.Collect(t.store, living)
	for _, id := range gone {
		t.log.Info("removed the rules of a server that is gone", slog.String("server", string(id)))
	}
	return unprivileged(err)
}

// unprivileged leaves out the error of somebody who may not see rules: he made
// none.
func unprivileged(err error) error {
	if kind := vpn.KindOf(err); kind == vpn.Denied || kind == vpn.Unavailable {
		return nil
	}
	return err
}

// Warnings say what keeps the clients of s from the internet.
func (t *tunnels) Warnings(s vpn.Server) []string {
	t.mu.Lock()
	problem := t.problems[s.ID]
	t.mu.Unlock()
	if problem != "" {
		return []string{problem}
	}
	want, err := t.wanted(s)
	if err == nil && want != nil && want.Asked && s.Container.Bridged() {
		return []string{"server " + s.Name + " carries packets in user space, which is slower: the bridge " + s.Container.Network + " is a network of its own, where this host's device is not; --network host has it"}
	}
	if err != nil || want == nil || !router.Exists(s.ID) {
		return nil
	}
	var out []string
	for _, b := range t.firewall.ForwardBlocks(router.Device(s.ID), want.Addresses) {
		out = append(out, b.String())
	}
	return out
}

// Changes say what of this host was changed for s.
func (t *tunnels) Changes(s vpn.Server) []string {
	want, err := t.wanted(s)
	if err != nil || want == nil {
		return nil
	}
	changes, err := router.Changes(t.store, s.ID)
	if err != nil || len(changes) == 0 {
		return nil
	}
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return []string{"settings of this host were changed for server " + s.Name + ", and stay so when it is gone: " + strings.Join(list, ", ")}
}

const repairPeriod = time.Second

// watch puts back, until ctx ends, rules that somebody has removed: who loads
// a whole rule set anew, as the service of nftables does, removes everybody's.
func (t *tunnels) watch(ctx context.Context) {
	tick := time.NewTicker(repairPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.repair()
		}
	}
}

func (t *tunnels) repair() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.applied) == 0 {
		return
	}
	there, err := router.Servers(t.store)
	if err != nil {
		t.log.Warn("rules of tunnels could not be looked at", slog.Any("err", err))
		return
	}
	for id, tunnel := range t.applied {
		if slices.Contains(there, id) || !router.Exists(id) {
			continue
		}
		if _, err := router.Apply(tunnel); err != nil {
			t.log.Error("the rules of a tunnel were removed, and cannot be put back", slog.String("server", string(id)), slog.Any("err", err))
			continue
		}
		t.log.Warn("the rules of a tunnel were removed by somebody, and are there again", slog.String("server", string(id)))
	}
}
