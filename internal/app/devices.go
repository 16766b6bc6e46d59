package app

import (
	"context"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// Devices are the use cases of users' credentials: which devices have some of
// their own, and making them anew. A user is named by name or ID.
type Devices struct{ *core }

// Add gives a user credentials for a device, on the servers that in names or
// on all that let the user in. A device that has some already gets those that
// it lacks.
func (d *Devices) Add(ctx context.Context, name string, in vpn.NewDevice) (vpn.UserChange, error) {
	if err := vpn.ValidName(in.Name); err != nil {
		return vpn.UserChange{}, err
	}
	return d.change(ctx, "devices.add", name, func(tx Tx, usr vpn.User) ([]vpn.CredentialID, string, error) {
		servers, err := d.servers(tx, usr, in.Servers)
		if err != nil {
			return nil, "", err
		}
		creds, err := tx.Credentials.ForUser(usr.ID)
		if err != nil {
			return nil, "", err
		}
		if have := labels(creds); !slices.Contains(have, in.Name) && len(have) >= maxDevices {
			return nil, "", vpn.Errorf(vpn.Conflict, "user %q has %d devices already", usr.Name, len(have)).
				WithHint("remove one that is not used any more: vpn users device list %s", usr.Name)
		}
		var (
			made []vpn.CredentialID
			on   []string
		)
		for _, s := range servers {
			if slices.ContainsFunc(creds, func(c vpn.Credential) bool {
				return c.Server == s.ID && c.Label == in.Name && isCurrent(c)
			}) {
				continue
			}
			cred, err := d.mint(tx, s, usr, in.Name)
			if err != nil {
				return nil, "", err
			}
			made, on = append(made, cred.ID), append(on, s.Name)
		}
		if len(made) == 0 {
			return nil, "", vpn.Errorf(vpn.Conflict, "device %q of user %q is there already", in.Name, usr.Name).
				WithHint("its links: vpn users link %s --device %s", usr.Name, in.Name)
		}
		return made, in.Name + " on " + strings.Join(on, " "), nil
	})
}

// maxDevices is how many devices of a user may have credentials of their own.
const maxDevices = 100

// servers returns those servers that let usr in, or all that do if none is
// named.
func (d *Devices) servers(tx Tx, usr vpn.User, names []string) ([]vpn.Server, error) {
	var out []vpn.Server
	if len(names) == 0 {
		all, err := tx.Servers.List()
		if err != nil {
			return nil, err
		}
		out = slices.DeleteFunc(all, func(s vpn.Server) bool { return !usr.MayUse(s.ID) })
		if len(out) == 0 {
			return nil, vpn.Errorf(vpn.NotFound, "there is no server that lets user %q in", usr.Name).
				WithHint("make one: vpn server create")
		}
		return out, nil
	}
	for _, name := range names {
		s, err := findServer(tx, name)
		if err != nil {
			return nil, err
		}
		if !usr.MayUse(s.ID) {
			return nil, vpn.Errorf(vpn.Conflict, "server %q does not let user %q in", s.Name, usr.Name).
				WithHint("let it in first: vpn users update %s --all-servers, or --server with each of its servers", usr.Name)
		}
		out = append(out, s)
	}
	return out, nil
}

// Remove takes a device's credentials away. Its connections end, and those of
// the user's other devices do not.
func (d *Devices) Remove(ctx context.Context, name, device string) (vpn.UserChange, error) {
	return d.change(ctx, "devices.remove", name, func(tx Tx, usr vpn.User) ([]vpn.CredentialID, string, error) {
		creds, err := tx.Credentials.ForUser(usr.ID)
		if err != nil {
			return nil, "", err
		}
		if device == "" || !slices.Contains(labels(creds), device) {
			return nil, "", noDevice(usr, device, creds)
		}
		creds = slices.DeleteFunc(creds, func(cred vpn.Credential) bool { return cred.Label != device })
		return nil, device, d.endAll(tx, creds)
	})
}

// List returns a user's devices, by name.
func (d *Devices) List(ctx context.Context, name string) ([]vpn.Device, error) {
	if _, err := authorize(ctx, "devices.list"); err != nil {
		return nil, err
	}
	out := []vpn.Device{}
	err := d.Store.View(ctx, func(tx Tx) error {
		usr, err := findUser(tx, name)
		if err != nil {
			return err
		}
		creds, err := tx.Credentials.ForUser(usr.ID)
		if err != nil {
			return err
		}
		servers, err := tx.Servers.List()
		if err != nil {
			return err
		}
		for _, label := range labels(creds) {
			dev := vpn.Device{Name: label}
			for _, s := range servers {
				for _, cred := range creds {
					if cred.Label != label || cred.Server != s.ID || !isCurrent(cred) {
						continue
					}
					dev.Servers = append(dev.Servers, s.Name)
					if dev.CreatedAt.IsZero() || cred.CreatedAt.Before(dev.CreatedAt) {
						dev.CreatedAt = cred.CreatedAt
					}
				}
			}
			out = append(out, dev)
		}
		return nil
	})
	return out, err
}

// labels returns the names of the devices that creds are for, in order.
func labels(creds []vpn.Credential) []string {
	var out []string
	for _, cred := range creds {
		if cred.Label != "" && isCurrent(cred) {
			out = append(out, cred.Label)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func noDevice(usr vpn.User, device string, creds []vpn.Credential) error {
	return unknown("device of user "+usr.Name, device, labels(creds), "vpn users device list "+usr.Name)
}

// change loads a user, lets edit change its credentials, records that and
// makes the workers follow. The answer holds the links of the credentials that
// edit returns.
func (d *Devices) change(ctx context.Context, action, name string, edit func(Tx, vpn.User) ([]vpn.CredentialID, string, error)) (vpn.UserChange, error) {
	actor, err := authorize(ctx, action)
	if err != nil {
		return vpn.UserChange{}, err
	}
	var (
		usr      vpn.User
		access   []vpn.Access
		had, has doors
	)
	err = d.Store.Update(ctx, func(tx Tx) error {
		var err error
		if usr, err = findUser(tx, name); err != nil {
			return err
		}
		if had, err = doorsOf(tx, usr, d.Now()); err != nil {
			return err
		}
		made, detail, err := edit(tx, usr)
		if err != nil {
			return err
		}
		if has, err = doorsOf(tx, usr, d.Now()); err != nil {
			return err
		}
		if access, err = d.accessBy(tx, usr, func(cred vpn.Credential) bool { return slices.Contains(made, cred.ID) }); err != nil {
			return err
		}
		return d.record(tx, actor, action, usr.Name, detail)
	})
	if err != nil {
		return vpn.UserChange{}, err
	}
	change := d.follow(ctx, usr, usr, had, has)
	change.Access = access
	return change, nil
}
