package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"vpn/internal/vpn"
)

// Users are the requests about users. A user is given by name or ID.
type Users struct{ c *caller }

// Create makes a user with access to every server.
func (u *Users) Create(ctx context.Context, in vpn.NewUser) (vpn.UserChange, error) {
	return call[vpn.UserChange](ctx, u.c, http.MethodPost, "/v1/users", in)
}

// List returns those of the living users that f selects, by name.
func (u *Users) List(ctx context.Context, f vpn.UserFilter) ([]vpn.UserInfo, error) {
	return u.ListFields(ctx, f)
}

// ListFields is List with those fields only, such as "name" and
// "limits.quota"; the others are zero. No fields are all of them. With many
// users it takes a fraction of the time.
func (u *Users) ListFields(ctx context.Context, f vpn.UserFilter, paths ...string) ([]vpn.UserInfo, error) {
	query := url.Values{}
	if f.Status != "" {
		query.Set("status", string(f.Status))
	}
	if len(f.Tags) > 0 {
		query.Set("tag", strings.Join(f.Tags, ","))
	}
	if f.Search != "" {
		query.Set("search", f.Search)
	}
	if f.Online {
		query.Set("online", "true")
	}
	if len(paths) > 0 {
		query.Set("fields", strings.Join(paths, ","))
		return list[vpn.UserInfo](ctx, u.c, withValues("/v1/users", query), paths)
	}
	return call[[]vpn.UserInfo](ctx, u.c, http.MethodGet, withValues("/v1/users", query), nil)
}

// Show returns one user with everything that belongs to it.
func (u *Users) Show(ctx context.Context, user string) (vpn.UserDetail, error) {
	return callOn[vpn.UserDetail](ctx, u.c, http.MethodGet, "users", user, "", nil)
}

// Update changes the fields that are set in p.
func (u *Users) Update(ctx context.Context, user string, p vpn.UserPatch) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, u.c, http.MethodPatch, "users", user, "", p)
}

// Delete deletes a user and closes its connections.
func (u *Users) Delete(ctx context.Context, user string) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, u.c, http.MethodDelete, "users", user, "", nil)
}

// Deleted returns the users that were deleted and can be restored, the last
// deleted first.
func (u *Users) Deleted(ctx context.Context) ([]vpn.UserInfo, error) {
	return call[[]vpn.UserInfo](ctx, u.c, http.MethodGet, "/v1/users?deleted=true", nil)
}

// Restore undoes the deletion of a user, within a day.
func (u *Users) Restore(ctx context.Context, user string, in vpn.UserRestore) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, u.c, http.MethodPost, "users", user, "/restore", in)
}

// Reset sets what a user has used back to nothing.
func (u *Users) Reset(ctx context.Context, user string) (vpn.UserChange, error) {
	return callOn[vpn.UserChange](ctx, u.c, http.MethodPost, "users", user, "/reset", nil)
}

// Kick closes a user's connections.
func (u *Users) Kick(ctx context.Context, user string) (vpn.Kicked, error) {
	return callOn[vpn.Kicked](ctx, u.c, http.MethodPost, "users", user, "/kick", nil)
}

// Access returns what a user puts into a client application.
func (u *Users) Access(ctx context.Context, user string) ([]vpn.Access, error) {
	return callOn[[]vpn.Access](ctx, u.c, http.MethodGet, "users", user, "/access", nil)
}
