package router

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
)

const tunFile = "/dev/net/tun"

// Open makes a server's TUN device and returns it open: whole IP packets are
// read and written, each behind a virtio header (IFF_NO_PI, IFF_VNET_HDR), as
// package tun of wireguard-go expects of a descriptor that it is given. The
// device is down and has no address until [Apply]. It ends when the file is
// closed by every process that has it.
//
// Without the right to make one the error is of kind [vpn.Denied], where there
// are none in this kernel it is [vpn.Unavailable], and if the device is there
// already [vpn.Conflict].
func Open(server vpn.ServerID) (*os.File, error) {
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, denied(fmt.Errorf("open %s: %w", tunFile, err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return nil, vpn.Errorf(vpn.Unavailable, "this host has no TUN devices: open %s: %w", tunFile, err).
			WithHint("on a virtual server its provider switches them on; in a container: --device %s", tunFile)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", tunFile, err)
	}
	f, err := makeDevice(fd, Device(server))
	if err != nil {
		_ = unix.Close(fd)
	}
	return f, err
}

func makeDevice(fd int, name string) (*os.File, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, fmt.Errorf("name a TUN device %q: %w", name, err)
	}
	const flagExclusive = 0x8000 // IFF_TUN_EXCL: not one that is there
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR | flagExclusive)
	switch err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return nil, vpn.Errorf(vpn.Conflict, "the device %s is there already", name).
			WithHint("see who has it open: fuser -v %s", tunFile)
	case errors.Is(err, unix.EPERM):
		return nil, denied(fmt.Errorf("make a TUN device: %w", err))
	case err != nil:
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), tunFile), nil
}

// Persist makes a device that [Open] has made stay when nobody has it open, for
// a process of the user owner to attach to, until [Drop].
func Persist(device *os.File, owner uint32) error {
	raw, err := device.SyscallConn()
	if err != nil {
		return fmt.Errorf("keep a TUN device: %w", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetInt(int(fd), unix.TUNSETOWNER, int(owner)); failed == nil {
			failed = unix.IoctlSetInt(int(fd), unix.TUNSETPERSIST, 1)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("keep a TUN device: %w", err)
	}
	return nil
}

// Drop removes a server's device that was to stay; it is no error if there is
// none. One that a process has open is left to it, with kind [vpn.Conflict].
func Drop(server vpn.ServerID) error {
	if !Exists(server) {
		return nil
	}
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", tunFile, err)
	}
	defer unix.Close(fd) // which removes it
	request, err := unix.NewIfreq(Device(server))
	if err != nil {
		return fmt.Errorf("name a TUN device: %w", err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	switch err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); {
	case errors.Is(err, unix.EBUSY):
		return vpn.Errorf(vpn.Conflict, "the device %s is in use", Device(server)).WithHint("see who has it open: fuser -v %s", tunFile)
	case errors.Is(err, unix.EPERM):
		return denied(fmt.Errorf("attach to %s: %w", Device(server), err))
	case err != nil:
		return fmt.Errorf("attach to %s: %w", Device(server), err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0); err != nil {
		return fmt.Errorf("remove %s: %w", Device(server), err)
	}
	return nil
}

func denied(err error) error {
	return vpn.Errorf(vpn.Denied, "a tunnel needs the capability NET_ADMIN: %w", err).
		WithHint("run the daemon as root: vpn service install")
}

// configure makes the device's MTU and addresses t's, removes others, and
// sets it up. Routes to the subnets come with the addresses.
func configure(t Tunnel, addresses []netip.Prefix) error {
	link, err := net.InterfaceByName(Device(t.Server))
	if err != nil {
		return vpn.Errorf(vpn.NotFound, "the device %s is not there: %w", Device(t.Server), err)
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	defer c.Close()
	there, err := addressesOf(link)
	if err != nil {
		return err
	}
	for _, a := range there {
		if !slices.Contains(addresses, a) && !a.Addr().IsLinkLocalUnicast() {
			if err := setAddress(c, unix.RTM_DELADDR, 0, link.Index, a); err != nil {
				return fmt.Errorf("take the address %s from %s: %w", a, link.Name, err)
			}
		}
	}
	if err := setLink(c, link.Index, t.MTU); err != nil {
		return fmt.Errorf("set up %s: %w", link.Name, err)
	}
	for _, a := range addresses {
		if err := setAddress(c, unix.RTM_NEWADDR, netlink.Create|netlink.Replace, link.Index, a); err != nil {
			return fmt.Errorf("give %s the address %s: %w", link.Name, a, err)
		}
	}
	return nil
}

func addressesOf(link *net.Interface) ([]netip.Prefix, error) {
	found, err := link.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", link.Name, err)
	}
	var out []netip.Prefix
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// setLink sets the MTU, and the device up: struct ifinfomsg, IFLA_MTU.
func setLink(c *netlink.Conn, index, mtu int) error {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.IFLA_MTU, uint32(mtu)) //nolint:gosec // checked
	attributes, err := ae.Encode()
	if err != nil {
		return err
	}
	b := make([]byte, unix.SizeofIfInfomsg)
	put32(b[4:], uint32(index)) //nolint:gosec // the kernel's are positive
	put32(b[8:], unix.IFF_UP)
	put32(b[12:], unix.IFF_UP) // of the flags, this one is meant
	return execute(c, unix.RTM_NEWLINK, 0, append(b, attributes...))
}

// setAddress adds or removes an address: struct ifaddrmsg, IFA_LOCAL,
// IFA_ADDRESS.
func setAddress(c *netlink.Conn, message uint16, flags netlink.HeaderFlags, index int, a netip.Prefix) error {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.IFA_LOCAL, a.Addr().AsSlice())
	ae.Bytes(unix.IFA_ADDRESS, a.Addr().AsSlice())
	attributes, err := ae.Encode()
	if err != nil {
		return err
	}
	family := byte(unix.AF_INET)
	if a.Addr().Is6() {
		family = unix.AF_INET6
	}
	b := []byte{family, byte(a.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE, 0, 0, 0, 0}
	put32(b[4:], uint32(index)) //nolint:gosec // the kernel's are positive
	return execute(c, message, flags, append(b, attributes...))
}

func execute(c *netlink.Conn, message uint16, flags netlink.HeaderFlags, data []byte) error {
	_, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(message), Flags: netlink.Request | netlink.Acknowledge | flags},
		Data:   data,
	})
	return err
}
