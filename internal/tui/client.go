package tui

import (
	"context"

	"vpn/internal/client"
	"vpn/internal/tui/feed"
	"vpn/internal/vpn"
)

// SourceOf returns what the UI asks of a control plane.
func SourceOf(c *client.Client) feed.Source { return source{c} }

type source struct{ c *client.Client }

func (s source) Status(ctx context.Context) (vpn.Status, error) { return s.c.System.Status(ctx) }

func (s source) Users(ctx context.Context) ([]vpn.UserInfo, error) {
	return s.c.Users.List(ctx, vpn.UserFilter{})
}

func (s source) Online(ctx context.Context) ([]vpn.UserInfo, error) {
	return s.c.Users.ListFields(ctx, vpn.UserFilter{Online: true}, "id", "status", "used", "online", "rate")
}

func (s source) Sessions(ctx context.Context) ([]vpn.Session, error) {
	return s.c.Usage.Sessions(ctx, vpn.SessionFilter{})
}

func (s source) Host(ctx context.Context) (vpn.Host, error) { return s.c.System.Host(ctx) }

func (s source) Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	return s.c.Usage.Rates(ctx, q)
}

// WatchOf returns what follows the events of a control plane.
//
// What happens while there is no connection is told by no event, so each
// connection after the first begins with an [vpn.EventsLost].
func WatchOf(c *client.Client) func(ctx context.Context, event func(vpn.Event)) error {
	again := false
	return func(ctx context.Context, event func(vpn.Event)) error {
		s, err := c.System.FollowEvents(ctx, 0)
		if err != nil {
			return err
		}
		defer s.Close()
		if again {
			event(vpn.Event{Action: vpn.EventsLost})
		}
		again = true
		for {
			e, err := s.Next()
			if err != nil {
				return err
			}
			event(e)
		}
	}
}
