package router

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"vpn/internal/engine/egress"
	"vpn/internal/vpn"
)

// Apply makes the host carry t: rules first, so that no packet ever goes
// without them, then the device, which must have been opened (see [Open]),
// then the kernel's forwarding. Twice is the same as once; a change of t's
// Allow holds for connections that are there already. The table goes to the
// kernel as a whole or not at all.
//
// It returns what of the kernel's settings it had to change, now or in an
// earlier call for the same server, and leaves those as they are that were
// right. It acts on the calling thread's network namespace. Without the right
// to do this the error is of kind [vpn.Denied].
func Apply(t Tunnel) ([]Change, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	host, err := egress.HostAddrs()
	if err != nil {
		return nil, err
	}
	before, err := Changes(t.Store, t.Server)
	if err != nil {
		return nil, err
	}
	before = merge(t.Changes, before)
	err = replace(conn, t, host, before)
	if errors.Is(err, unix.ENOENT) { // of an expression; nothing else could be missing
		err = errors.Join(err, unix.EOPNOTSUPP)
	}
	if err != nil {
		return nil, explain(err)
	}
	addresses := t.Addresses
	if !hasIPv6(Device(t.Server)) {
		addresses = slices.DeleteFunc(slices.Clone(addresses), func(a netip.Prefix) bool { return a.Addr().Is6() })
	}
	if err := configure(t, addresses); err != nil {
		return before, explain(err)
	}
	made, err := forward(Device(t.Server), addresses)
	made = append(made, widen(sysctls+receiveMost, receiveBuffer)...)
	if len(made) > 0 {
		// What was changed is noted even if the rest failed.
		before = merge(before, made)
		if noted := replace(conn, t, host, before); noted != nil {
			err = errors.Join(err, explain(noted))
		}
	}
	return before, err
}

// merge adds changes to those that are known. The oldest value stays known.
func merge(known, made []Change) []Change {
	out := slices.Clone(known)
	for _, c := range made {
		if i := slices.IndexFunc(out, func(o Change) bool { return o.Name == c.Name }); i >= 0 {
			out[i].Is = c.Is
			continue
		}
		out = append(out, c)
	}
	return out
}

// Changes returns what of the kernel's settings [Apply] changed for a server,
// as its table has it.
func Changes(store string, server vpn.ServerID) ([]Change, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	t := Tunnel{Store: store, Server: server}
	all, err := tables(conn, store)
	if err != nil {
		return nil, explain(err)
	}
	if !slices.Contains(all, t.table()) {
		return nil, nil
	}
	out, err := notes(conn, t.table())
	return out, explain(err)
}

// Servers returns the servers of a store that have a table.
func Servers(store string) ([]vpn.ServerID, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	all, err := tables(conn, store)
	out := make([]vpn.ServerID, 0, len(all))
	for _, name := range all {
		out = append(out, serverOf(store, name))
	}
	return out, explain(err)
}

func serverOf(store, table string) vpn.ServerID {
	return vpn.ServerID(strings.TrimPrefix(table, tablePrefix(store)))
}

// Exists reports whether a server has its device.
func Exists(server vpn.ServerID) bool {
	_, err := net.InterfaceByName(Device(server))
	return err == nil
}

// Remove takes a server's table away; it is no error if there is none. The
// device goes with its worker, or is left to forward nothing: without its
// table it must not be up.
func Remove(store string, server vpn.ServerID) error {
	_, err := remove(store, func(id vpn.ServerID) bool { return id == server })
	return err
}

// Collect takes away the tables of those servers of a store that are not
// among the living, and returns the servers. A crash may have left them.
func Collect(store string, living []vpn.ServerID) ([]vpn.ServerID, error) {
	return remove(store, func(id vpn.ServerID) bool { return !slices.Contains(living, id) })
}

func remove(store string, which func(vpn.ServerID) bool) ([]vpn.ServerID, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	all, err := tables(conn, store)
	if err != nil {
		return nil, explain(err)
	}
	var gone []vpn.ServerID
	for _, name := range all {
		id := serverOf(store, name)
		if !which(id) {
			continue
		}
		conn.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: name})
		gone = append(gone, id)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if err := conn.Flush(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explain(fmt.Errorf("remove the rules of a tunnel: %w", err))
	}
	return gone, nil
}

// explain says what errors of the kernel's mean to a person.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return denied(err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return vpn.Errorf(vpn.Unavailable, "this kernel lacks a part of nftables: %w", err).
			WithHint("it takes Linux 5.10 with nf_tables, masquerade and reject")
	}
	return err
}

func put32(b []byte, v uint32) { binary.NativeEndian.PutUint32(b, v) }
