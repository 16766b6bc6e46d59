package client

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"

	"vpn/internal/vpn"
)

// Through returns a client whose requests rt carries to the control plane.
func Through(rt http.RoundTripper) *Client { return newClient(rt) }

// Forward returns a handler that asks the daemon what it is asked. The
// daemon's socket is looked for with each request: a daemon may go, and come
// again, while whoever asks stays.
func Forward(find func() (string, error)) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     found(find),
		FlushInterval: -1, // what a daemon tells as it happens is told so
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "vpn"
		},
		ErrorLog:     log.New(io.Discard, "", 0), // whoever asks is told
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { refuse(w, broken(r.Context(), err)) },
	}
}

// refuse answers with err, as [refusal] reads it.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusBadGateway)
	if e, ok := errors.AsType[*vpn.Error](err); ok { // else whoever asked has gone
		_ = json.NewEncoder(w).Encode(problem{Kind: e.Kind, Detail: e.Message, Hint: e.Hint})
	}
}
