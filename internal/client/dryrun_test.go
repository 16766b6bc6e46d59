package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// TestDryRun: whatever a client asks for dryly says so, and looking is as
// ever.
func TestDryRun(t *testing.T) {
	asked := ""
	h := func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.RequestURI
		var answer any = map[string]any{}
		if r.Method == http.MethodGet {
			answer = []any{}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
	over(t, h, func(t *testing.T, c *client.Client) {
		for want, do := range map[string]func(context.Context, *client.Client) error{
			"POST /v1/users?dry_run=true": func(ctx context.Context, c *client.Client) error {
				_, err := c.Users.Create(ctx, vpn.NewUser{Name: "a"})
				return err
			},
			"DELETE /v1/servers/main?dry_run=true": func(ctx context.Context, c *client.Client) error {
				_, err := c.Servers.Delete(ctx, "main")
				return err
			},
			"GET /v1/users": func(ctx context.Context, c *client.Client) error {
				_, err := c.Users.List(ctx, vpn.UserFilter{})
				return err
			},
		} {
			if err := do(t.Context(), c.DryRun()); err != nil || asked != want {
				t.Errorf("got %s, %v, want %s", asked, err, want)
			}
		}
		if _, err := c.Servers.Delete(t.Context(), "main"); err != nil || asked != "DELETE /v1/servers/main" {
			t.Errorf("got %s, %v", asked, err)
		}
	})
}
