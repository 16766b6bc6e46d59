package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vpn/internal/vpn"
)

// Users are the use cases about users. A user is given by name or ID.
type Users interface {
	Create(ctx context.Context, in vpn.NewUser) (vpn.UserChange, error)
	List(ctx context.Context, f vpn.UserFilter) ([]vpn.UserInfo, error)
	Each(ctx context.Context, f vpn.UserFilter, fn func(*vpn.UserInfo) error) error
	Show(ctx context.Context, user string) (vpn.UserDetail, error)
	Update(ctx context.Context, user string, p vpn.UserPatch) (vpn.UserChange, error)
	Deleted(ctx context.Context) ([]vpn.UserInfo, error)
	Restore(ctx context.Context, user string, in vpn.UserRestore) (vpn.UserChange, error)
	Reset(ctx context.Context, user string) (vpn.UserChange, error)
	Delete(ctx context.Context, user string) (vpn.UserChange, error)
	Kick(ctx context.Context, user string) (vpn.Kicked, error)
	Access(ctx context.Context, user string) ([]vpn.Access, error)
}

// aUser is a request about one user.
type aUser struct {
	User string `path:"user" doc:"name or ID"`
}

// changeUser is a request that changes one.
type changeUser struct {
	User   string `path:"user" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
}

type newUser struct {
	DryRun bool `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.NewUser
}

type userPatch struct {
	User   string `path:"user" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.UserPatch
}

type userRestore struct {
	User   string `path:"user" doc:"name or ID"`
	DryRun bool   `query:"dry_run" doc:"check everything and answer, but change nothing"`
	Body   vpn.UserRestore
}

type someUsers struct {
	Deleted bool     `query:"deleted" doc:"those that were deleted and can be restored, instead of the living"`
	Status  string   `query:"status" enum:"active,on_hold,limited,throttled,expired,disabled" doc:"those of the living who are in that state; throttled: those of the limited who are slowed down, and not cut"`
	Tag     []string `query:"tag" doc:"those of the living who have all of these tags"`
	Search  string   `query:"search" maxLength:"100" doc:"those of the living whose name, e-mail, note or a tag holds it"`
	Online  bool     `query:"online" doc:"those of the living who have a connection now"`
	Fields  []string `query:"fields" doc:"only these of each user, such as name,limits.quota; a wrong one is answered with all that there are"`
}

func addUsers(a *api, to either[Users]) {
	users := to.real
	add(a, huma.Operation{
		OperationID: "users.create", Method: http.MethodPost, Path: "/v1/users",
		Summary: "Create a user, with access to every server", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *newUser) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Create(ctx, in.Body))
	})
	add(a, huma.Operation{
		OperationID: "users.list", Method: http.MethodGet, Path: "/v1/users", Summary: "List the users",
		Responses: onlyList[vpn.UserInfo](a, "Users, by name; the deleted ones by when they were"),
	}, func(ctx context.Context, in *someUsers) (*huma.StreamResponse, error) {
		f := vpn.UserFilter{Status: vpn.UserStatus(in.Status), Tags: in.Tag, Search: in.Search, Online: in.Online, Fields: in.Fields}
		switch {
		case len(in.Fields) > 0 && in.Deleted:
			return fieldsOf(func(fn func(*vpn.UserInfo) error) error {
				deleted, err := users.Deleted(ctx)
				if err != nil {
					return err
				}
				for i := range deleted {
					if err := fn(&deleted[i]); err != nil {
						return err
					}
				}
				return nil
			}, in.Fields)
		case len(in.Fields) > 0:
			return fieldsOf(func(fn func(*vpn.UserInfo) error) error { return users.Each(ctx, f, fn) }, in.Fields)
		case in.Deleted:
			return whole(users.Deleted(ctx))
		}
		return whole(users.List(ctx, f))
	})
	add(a, huma.Operation{
		OperationID: "users.show", Method: http.MethodGet, Path: "/v1/users/{user}",
		Summary: "Show a user, with traffic per server and live sessions",
	}, func(ctx context.Context, in *aUser) (*body[vpn.UserDetail], error) {
		d, err := users.Show(ctx, in.User)
		d.Servers, d.Credentials, d.Sessions, d.Resets = orEmpty(d.Servers), orEmpty(d.Credentials), orEmpty(d.Sessions), orEmpty(d.Resets)
		return answer(d, err)
	})
	add(a, huma.Operation{
		OperationID: "users.update", Method: http.MethodPatch, Path: "/v1/users/{user}",
		Summary: "Change the fields of a user that are given",
	}, func(ctx context.Context, in *userPatch) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Update(ctx, in.User, in.Body))
	})
	add(a, huma.Operation{
		OperationID: "users.delete", Method: http.MethodDelete, Path: "/v1/users/{user}",
		Summary: "Delete a user and close its connections",
	}, func(ctx context.Context, in *changeUser) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Delete(ctx, in.User))
	})
	add(a, huma.Operation{
		OperationID: "users.restore", Method: http.MethodPost, Path: "/v1/users/{user}/restore",
		Summary: "Undo the deletion of a user, within a day",
	}, func(ctx context.Context, in *userRestore) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Restore(ctx, in.User, in.Body))
	})
	add(a, huma.Operation{
		OperationID: "users.reset", Method: http.MethodPost, Path: "/v1/users/{user}/reset",
		Summary: "Set what a user has used back to nothing",
	}, func(ctx context.Context, in *changeUser) (*body[vpn.UserChange], error) {
		return answer(to.of(in.DryRun).Reset(ctx, in.User))
	})
	add(a, huma.Operation{
		OperationID: "users.kick", Method: http.MethodPost, Path: "/v1/users/{user}/kick",
		Summary: "Close a user's connections",
	}, func(ctx context.Context, in *changeUser) (*body[vpn.Kicked], error) {
		return answer(to.of(in.DryRun).Kick(ctx, in.User))
	})
	add(a, huma.Operation{
		OperationID: "users.access", Method: http.MethodGet, Path: "/v1/users/{user}/access",
		Summary: "Get what a user puts into a client application",
	}, func(ctx context.Context, in *aUser) (*body[[]vpn.Access], error) {
		return listed(users.Access(ctx, in.User))
	})
}
