package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vpn/internal/vpn"
)

// Usage are the requests about what is and was moved.
type Usage struct{ c *caller }

// History returns what was moved over time.
func (u *Usage) History(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	query := url.Values{"since": {q.Since.UTC().Format(time.RFC3339)}}
	if !q.Until.IsZero() {
		query.Set("until", q.Until.UTC().Format(time.RFC3339))
	}
	if q.Step != 0 {
		query.Set("step", strconv.FormatInt(int64(q.Step/time.Second), 10))
	}
	setIf(query, "by", string(q.By))
	setIf(query, "user", q.User)
	setIf(query, "server", q.Server)
	return call[vpn.History](ctx, u.c, http.MethodGet, "/v1/usage?"+query.Encode(), nil)
}

// Rates returns how fast things were moved in each of the last seconds.
func (u *Usage) Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	query := url.Values{}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	setIf(query, "by", string(q.By))
	setIf(query, "user", q.User)
	setIf(query, "server", q.Server)
	return call[vpn.Rates](ctx, u.c, http.MethodGet, withValues("/v1/rates", query), nil)
}

// Sessions returns the live connections of all servers, the oldest first.
func (u *Usage) Sessions(ctx context.Context, f vpn.SessionFilter) ([]vpn.Session, error) {
	query := url.Values{}
	setIf(query, "user", f.User)
	setIf(query, "server", f.Server)
	return call[[]vpn.Session](ctx, u.c, http.MethodGet, withValues("/v1/sessions", query), nil)
}

// withValues returns path with a query, if there is one.
func withValues(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

func setIf(query url.Values, key, value string) {
	if value != "" {
		query.Set(key, value)
	}
}
