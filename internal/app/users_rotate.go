package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Rotate makes credentials of a user anew: all of them, or those that in
// names. The old ones end at once and their connections with them, unless in
// lets them work on for some time. Those that an earlier rotation let work on
// end, too, when the new ones do or when in says so.
func (d *Devices) Rotate(ctx context.Context, name string, in vpn.Rotation) (vpn.UserChange, error) {
	if err := d.checkRotation(in); err != nil {
		return vpn.UserChange{}, err
	}
	return d.change(ctx, "users.rotate", name, func(tx Tx, usr vpn.User) ([]vpn.CredentialID, string, error) {
		creds, old, err := d.choose(tx, usr, in)
		if err != nil {
			return nil, "", err
		}
		if in.OldEnds.IsZero() {
			if err := d.endAll(tx, old); err != nil {
				return nil, "", err
			}
		}
		if in.EndOld {
			return nil, fmt.Sprintf("ended %d old", len(old)), nil
		}
		var (
			made    []vpn.CredentialID
			servers []string
		)
		for _, cred := range creds {
			s, err := tx.Servers.Get(cred.Server)
			if err != nil {
				return nil, "", err
			}
			id, err := d.replace(tx, s, usr, cred, in.OldEnds)
			if err != nil {
				return nil, "", err
			}
			made = append(made, id)
			servers = append(servers, strings.TrimSuffix(s.Name+"/"+cred.Label, "/"))
		}
		return made, strings.Join(servers, " "), nil
	})
}

func (d *Devices) checkRotation(in vpn.Rotation) error {
	switch now := d.Now(); {
	case in.OldEnds.IsZero():
		return nil
	case in.EndOld:
		return vpn.Errorf(vpn.Invalid, "old credentials end now or later, not both").WithHint("leave one of them out")
	case !in.OldEnds.After(now):
		return vpn.Errorf(vpn.Invalid, "the old credentials cannot end in the past, at %s", in.OldEnds.UTC().Format(time.RFC3339)).
			WithHint("leave the time out to end them at once")
	case in.OldEnds.Sub(now) > maxOverlap:
		return vpn.Errorf(vpn.Invalid, "the old credentials cannot go on for so long").WithHint("at most a year")
	}
	return nil
}

// maxOverlap is how long an old credential may work beside a new one.
const maxOverlap = 366 * 24 * time.Hour

// choose returns the credentials that a rotation is about, and the old ones
// beside them that still work.
func (d *Devices) choose(tx Tx, usr vpn.User, in vpn.Rotation) (current, old []vpn.Credential, err error) {
	var only vpn.ServerID
	if in.Server != "" {
		s, err := findServer(tx, in.Server)
		if err != nil {
			return nil, nil, err
		}
		only = s.ID
	}
	all, err := tx.Credentials.ForUser(usr.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, cred := range all {
		switch {
		case in.Device != "" && cred.Label != in.Device || only != "" && cred.Server != only || isOver(cred, d.Now()):
		case isCurrent(cred):
			current = append(current, cred)
		default:
			old = append(old, cred)
		}
	}
	if in.EndOld && len(old) > 0 || !in.EndOld && len(current) > 0 {
		return current, old, nil
	}
	return nil, nil, noCredential(usr, in, all)
}

// noCredential says that there is nothing that a rotation could be about.
func noCredential(usr vpn.User, in vpn.Rotation, all []vpn.Credential) error {
	switch {
	case in.Device != "" && !slices.Contains(labels(all), in.Device):
		return noDevice(usr, in.Device, all)
	case in.EndOld:
		return vpn.Errorf(vpn.NotFound, "user %q has no such old credential that still works", usr.Name).
			WithHint("see which there are: vpn users show %s", usr.Name)
	case in.Server != "":
		return vpn.Errorf(vpn.NotFound, "user %q has no such credential on server %q", usr.Name, in.Server).
			WithHint("see which there are: vpn users link %s", usr.Name)
	}
	return vpn.Errorf(vpn.NotFound, "user %q has no credential yet", usr.Name).WithHint("there is no server that lets the user in: vpn server list")
}

// endAll takes credentials away.
func (d *Devices) endAll(tx Tx, creds []vpn.Credential) error {
	for _, cred := range creds {
		cred.DeletedAt = d.Now()
		if err := tx.Credentials.Put(cred); err != nil {
			return err
		}
	}
	return nil
}

// replace makes cred anew: in its place, or beside it if it is to work on
// until ends.
func (d *Devices) replace(tx Tx, s vpn.Server, usr vpn.User, cred vpn.Credential, ends time.Time) (vpn.CredentialID, error) {
	if !ends.IsZero() {
		cred.NotAfter = ends
		if err := tx.Credentials.Put(cred); err != nil {
			return "", err
		}
		next, err := d.mint(tx, s, usr, cred.Label)
		return next.ID, err
	}
	p, err := d.Protocols.Get(s.Protocol)
	if err != nil {
		return "", err
	}
	if cred.Secret, err = p.Mint(s); err != nil {
		return "", err
	}
	cred.CreatedAt = d.Now()
	return cred.ID, tx.Credentials.Put(cred)
}
