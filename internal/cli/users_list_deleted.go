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
	if err != nil {
		return err
	}
	if len(list) == 0 {
		out.note("no user was deleted within the last 24 hours")
	}
	names := namesOf(list, func(u vpn.UserInfo) string { return u.Name })
	t := &table{head: []string{"NAME", "DELETED", ">USED", ">QUOTA", "ID"}}
	for _, u := range list {
		t.add(u.Name, timeCell(u.DeletedAt), usedCell(u.Used), limitCell(u.Limits.Quota, vpn.FormatSize), string(u.ID))
	}
	return out.show(answer{data: list, names: names, quiet: names, tables: []*table{t}})
}
