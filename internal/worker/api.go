package worker

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"

	"vpn/internal/vpn"
)

// maxBody bounds what one side takes from the other: a spec of 10,000 users
// has 2 MB.
const maxBody = 64 << 20

// An endpoint answers a request with a value to encode, or an error.
type endpoint func(r *http.Request) (any, error)

// encoded is a value that an endpoint has encoded itself.
type encoded struct {
	form string
	body []byte
}

// handler returns the worker's API.
func (h *host) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, e := range map[string]endpoint{
		"GET /v1/health":      h.getHealth,
		"PUT /v1/spec":        h.putSpec,
		"PATCH /v1/spec":      h.patchSpec,
		"GET /v1/ceilings":    h.allotted.getCeilings,
		"PUT /v1/ceilings":    h.allotted.putCeilings,
		"GET /v1/shares":      h.allotted.getShares,
		"PUT /v1/shares":      h.allotted.putShares,
		"GET /v1/usage":       h.getUsage,
		"GET /v1/sessions":    h.getSessions,
		"DELETE /v1/sessions": h.deleteSessions,
		"PUT /v1/log":         h.adjust.putLog,
		"POST /v1/stop":       h.postStop,
	} {
		mux.Handle(pattern, h.answer(e))
	}
	return mux
}

func (h *host) getHealth(*http.Request) (any, error) { return h.health(), nil }

func (h *host) putSpec(r *http.Request) (any, error) {
	var in wireSpec
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return struct{}{}, h.put(r.Context(), in.spec())
}

func (h *host) patchSpec(r *http.Request) (any, error) {
	var in wirePatch
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return struct{}{}, h.patch(r.Context(), in.patch())
}

func (h *host) getUsage(r *http.Request) (any, error) {
	var after uint64
	if s := r.URL.Query().Get("after"); s != "" {
		var err error
		if after, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, vpn.Errorf(vpn.Invalid, "after must be a sequence number")
		}
	}
	out := h.allotted.usage(after)
	if r.Header.Get("Accept") != usageForm {
		return out, nil
	}
	return encoded{usageForm, appendUsage(make([]byte, 0, 256+64*len(out.Counters)+96*len(out.Demands)), &out)}, nil
}

func (h *host) getSessions(*http.Request) (any, error) { return h.meter.Sessions(), nil }

func (h *host) deleteSessions(r *http.Request) (any, error) {
	user := vpn.UserID(r.URL.Query().Get("user"))
	if user == "" {
		return nil, vpn.Errorf(vpn.Invalid, "whose sessions is not said")
	}
	return wireKicked{h.meter.Kick(user)}, nil
}

func (h *host) postStop(*http.Request) (any, error) { return h.stop() }

// answer carries an endpoint over HTTP.
func (h *host) answer(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http would keep a process alive whose engine broke in the middle
		// of something. A new one knows what it does.
		defer func() {
			if p := recover(); p != nil {
				h.log.Error("worker panics", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				os.Exit(2)
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status := http.StatusOK
		out, err := e(r)
		if err != nil {
			status, out = failure(err)
		}
		answer, ok := out.(encoded)
		if !ok {
			body, err := json.Marshal(out)
			if err != nil {
				h.log.Error("answer could not be encoded", slog.Any("err", err))
				http.Error(w, "internal", http.StatusInternalServerError)
				return
			}
			answer = encoded{"application/json", body}
		}
		w.Header().Set("Content-Type", answer.form)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
		w.WriteHeader(status)
		_, _ = w.Write(answer.body) // the control plane may be gone
	})
}

// failure returns err as it crosses the wire. Its cause crosses inside the
// message: the control plane's log is the only place where it is seen.
func failure(err error) (int, wireError) {
	w := wireError{Kind: vpn.KindOf(err), Message: err.Error()}
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		w.Hint = e.Hint
	}
	switch w.Kind {
	case vpn.Invalid:
		return http.StatusBadRequest, w
	case vpn.NotFound:
		return http.StatusNotFound, w
	case vpn.Conflict:
		return http.StatusConflict, w
	case vpn.Denied:
		return http.StatusForbidden, w
	case vpn.Unavailable:
		return http.StatusServiceUnavailable, w
	default:
		return http.StatusInternalServerError, w
	}
}

func decode(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return vpn.Errorf(vpn.Invalid, "the request cannot be read: %w", err)
	}
	return nil
}
