package daemon

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"vpn/internal/app"
)

// trusted serves h on behalf of whoever could open the socket: its mode and
// group are the check, and the peer's uid is the actor's name in the audit
// log.
func trusted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, ok := r.Context().Value(peerKey{}).(int)
		if !ok {
			http.Error(w, "the peer has no credentials", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r.WithContext(app.WithActor(r.Context(), actorOf(uid))))
	})
}

// local serves h on behalf of the user of this process.
func local(h http.Handler) http.Handler {
	actor := actorOf(os.Getuid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(app.WithActor(r.Context(), actor)))
	})
}

type peerKey struct{}

// withPeer notes who is at the other end of a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if uid, ok := peerUID(c); ok {
		return context.WithValue(ctx, peerKey{}, uid)
	}
	return ctx
}

func actorOf(uid int) app.Actor {
	id := strconv.Itoa(uid)
	name := "uid " + id
	if u, err := user.LookupId(id); err == nil {
		name += " (" + u.Username + ")"
	}
	return app.Actor{Name: name}
}
