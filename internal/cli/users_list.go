package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersList(p *program) *cobra.Command {
	var (
		deleted bool
		filter  vpn.UserFilter
	)
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the users", Args: exactly(),
		Example: `  vpn users list
  vpn users list -o wide                     all limits
  vpn users list -o name | xargs -n 1 vpn users link
  vpn users list --json name,used,limits.quota
  vpn users list --status limited            whose quota is used up
  vpn users list --tag family --search ali
  vpn users list --online                    who has a connection now
  vpn users list --deleted                   who can be restored`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"status", "tag", "search", "online"} {
				if deleted && cmd.Flags().Changed(name) {
					return vpn.Errorf(vpn.Invalid, "--deleted and --%s exclude each other", name).WithHint("leave one of them out")
				}
			}
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if deleted {
					return listDeletedUsers(ctx, p.printer(), c.Users)
				}
				return listUsers(ctx, p.printer(), c.Users, filter)
			})
		},
	}
	cmd.Flags().Var(statusValue(&filter.Status), "status", "only who is active, on_hold, limited (the throttled too), throttled, expired or disabled")
	cmd.Flags().Var(&list[string]{to: &filter.Tags, parse: parseTag, kind: "TAG"}, "tag", "only who has the tag; may be given several times")
	cmd.Flags().Var(&value[string]{to: &filter.Search, parse: parseSearch, kind: "WORD"}, "search", "only whose name, e-mail, note or tag holds the word")
	cmd.Flags().BoolVar(&filter.Online, "online", false, "only who has a connection now")
	cmd.Flags().BoolVar(&deleted, "deleted", false, "those that were deleted within the last 24 hours, instead")
	return answers[[]vpn.UserInfo](p, cmd)
}

type userLister interface {
	ListFields(context.Context, vpn.UserFilter, ...string) ([]vpn.UserInfo, error)
}

// shownFields are what the form shows of a user; nil is all.
func shownFields(out *printer) []string {
	switch {
	case out.picked != nil:
		return slices.Sorted(maps.Keys(out.picked))
	case out.form == "name" || out.quiet && out.forPeople():
		return []string{"name"}
	case out.form == "table":
		return []string{
			"name", "status", "used", "limits.quota", "limits.throttle", "expires_at", "valid_for", "first_used_at", "online", "rate",
		}
	}
	return nil
}

func listUsers(ctx context.Context, out *printer, users userLister, f vpn.UserFilter) error {
	list, err := users.ListFields(ctx, f, shownFields(out)...)
	if err != nil {
		return err
	}
	switch filtered := f.Status != "" || len(f.Tags) > 0 || f.Search != "" || f.Online; {
	case len(list) > 0:
	case filtered:
		out.note("no user is like that")
	default:
		out.note("there are no users yet; make one: vpn users create NAME")
	}
	names := namesOf(list, func(u vpn.UserInfo) string { return u.Name })
	a := answer{data: list, names: names, quiet: names}
	if out.tabular() {
		show := userTable
		if out.form == "table" {
			show = briefUserTable
		}
		a.tables = []*table{show(list...)}
	}
	return out.show(a)
}

// briefUserTable is userTable without what is wide, which takes a while for
// ten thousand.
func briefUserTable(list ...vpn.UserInfo) *table {
	t := &table{head: []string{"NAME", "STATUS", ">USED", ">QUOTA", "EXPIRES", ">ONLINE", ">UP", ">DOWN"}}
	t.rows = make([][]cell, 0, len(list))
	for i := range list {
		t.rows = append(t.rows, userCells(&list[i]))
	}
	return t
}

func userTable(list ...vpn.UserInfo) *table {
	t := briefUserTable(list...)
	t.head = append(t.head,
		"+>DEVICES", "+>CONNECTIONS", "+>MAX UP", "+>MAX DOWN", "+CREATED", "+ID",
		"+PERIOD", "+RESETS", "+AFTER QUOTA", "+TAGS", "+EMAIL", "+NOTE",
	)
	for i, u := range list {
		l := u.Limits
		for _, c := range []any{
			countCell(l.Devices), countCell(l.Connections), limitCell(l.RateUp, vpn.FormatRate), limitCell(l.RateDown, vpn.FormatRate),
			timeCell(u.CreatedAt), string(u.ID), l.Period.String(), timeCell(u.ResetsAt), afterCell(l), strings.Join(u.Tags, " "), u.Email, u.Note,
		} {
			t.rows[i] = append(t.rows[i], cellOf(c))
		}
	}
	return t
}

func userCells(u *vpn.UserInfo) []cell {
	return []cell{
		textCell(u.Name), userStatusCell(*u), usedCell(u.Used), limitCell(u.Limits.Quota, vpn.FormatSize), endCell(*u),
		textCell(strconv.Itoa(u.Online)), nowCell(u.Rate.Up), nowCell(u.Rate.Down),
	}
}
