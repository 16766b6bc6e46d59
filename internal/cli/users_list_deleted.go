package cli

import (
	"context"

	"vpn/internal/vpn"
)

type deletedUserLister interface {
	Deleted(context.Context) ([]vpn.UserInfo, error)
}

func listDeletedUsers(ctx context.Context, out *printer, users deletedUserLister) error {
	list, err := users.Deleted(ctx)
	switch {
	case err != nil:
		return err
	case out.json:
		return out.JSON(list)
	case out.quiet:
		names := make([]string, 0, len(list))
		for _, u := range list {
			names = append(names, u.Name)
		}
		return out.lines(names)
	case len(list) == 0:
		out.note("no user was deleted within the last 24 hours")
		return nil
	}
	t := &table{head: []string{"NAME", "DELETED", ">USED", ">QUOTA", "ID"}}
	for _, u := range list {
		t.add(u.Name, formatTime(u.DeletedAt), formatUsed(u.Used), formatLimit(u.Limits.Quota, vpn.FormatSize), string(u.ID))
	}
	return out.table(t)
}
