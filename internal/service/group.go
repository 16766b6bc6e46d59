package service

import (
	"context"

	"vpn/internal/vpn"
)

// A group is made and removed by shadow's programs, or by busybox's where
// those are not there.

func (m machine) addGroup(ctx context.Context) error {
	err := m.either(ctx, []string{"groupadd", "--system", Name}, []string{"addgroup", "-S", Name})
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "group %s cannot be made: %w", Name, err).WithHint("make it, then try again")
	}
	return nil
}

func (m machine) deleteGroup(ctx context.Context) error {
	return m.either(ctx, []string{"groupdel", Name}, []string{"delgroup", Name})
}

// either runs the first program, or the second if there is no such program.
func (m machine) either(ctx context.Context, first, second []string) error {
	_, err := m.run(ctx, first[0], first[1:]...)
	if err != nil && exitStatus(err) < 0 && ctx.Err() == nil {
		_, err = m.run(ctx, second[0], second[1:]...)
	}
	return err
}
