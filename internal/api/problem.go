package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"vpn/internal/vpn"
)

// Problem is the answer to every request that failed: an RFC 9457 document
// with the two members that a *[vpn.Error] has beyond a message.
type Problem struct {
	Title  string   `json:"title" doc:"the status in words"`
	Status int      `json:"status"`
	Detail string   `json:"detail" doc:"what went wrong, for a person"`
	Kind   vpn.Kind `json:"kind" enum:"invalid,not_found,conflict,denied,unavailable,internal"`
	Hint   string   `json:"hint,omitempty" doc:"what to do next"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus and ContentType are what huma asks of an error.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// statuses gives each kind of failure its HTTP status.
var statuses = map[vpn.Kind]int{
	vpn.Invalid:     http.StatusBadRequest,
	vpn.NotFound:    http.StatusNotFound,
	vpn.Conflict:    http.StatusConflict,
	vpn.Denied:      http.StatusForbidden,
	vpn.Unavailable: http.StatusServiceUnavailable,
	vpn.Internal:    http.StatusInternalServerError,
}

var (
	errPanicked  = errors.New("panic")
	errCancelled = vpn.Errorf(vpn.Unavailable, "the request was cancelled")
)

// newProblem is the only place where an error becomes an answer. An error
// that nobody gave a meaning says nothing of itself to the outside.
func newProblem(err error) *Problem {
	p := &Problem{
		Kind:   vpn.Internal,
		Detail: "internal error",
		Hint:   "the log says more: journalctl -u vpn, or run the command again with --verbose",
	}
	if e, ok := errors.AsType[*vpn.Error](err); ok && e.Kind != vpn.Internal {
		p.Kind, p.Detail, p.Hint = e.Kind, e.Message, e.Hint
	}
	return p.withStatus(statuses[p.Kind])
}

func (p *Problem) withStatus(status int) *Problem {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	p.Status, p.Title = status, http.StatusText(status)
	return p
}

// write answers with p outside of huma.
func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // nobody is left to tell
}

// refuse turns what a use case returned into a problem, and keeps in the log
// what the caller is not told.
func (a *api) refuse(ctx context.Context, operation string, err error) *Problem {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = errCancelled
	}
	p := newProblem(err)
	attrs := []slog.Attr{slog.String("operation", operation), slog.String("kind", string(p.Kind))}
	// The words of some repeat what was asked for, and somebody may have pasted
	// a key where a name belongs: no log has that.
	if p.Kind != vpn.Invalid && p.Kind != vpn.NotFound {
		attrs = append(attrs, slog.Any("err", err))
		if e, ok := errors.AsType[*vpn.Error](err); ok && e.Err != nil {
			attrs = append(attrs, slog.Any("cause", e.Err))
		}
	}
	level := slog.LevelDebug
	switch p.Kind {
	case vpn.Internal:
		level = slog.LevelError
	case vpn.Unavailable:
		if err != errCancelled { //nolint:errorlint // whoever asked has gone, a terminal UI with each that is closed
			level = slog.LevelWarn
		}
	}
	a.log.LogAttrs(ctx, level, "request refused", attrs...)
	return p
}

// configure makes huma's own refusals (a body that is not JSON, a field of
// the wrong type) problems like all others, and says in the schema that a list
// is never null. Huma offers package variables for that and nothing else; this
// package is its only user.
//
//nolint:gochecknoglobals // they are set once for the process, so this is too
var configure = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return requestProblem(status, msg, errs)
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return requestProblem(status, msg, errs)
	}
})

// requestProblem tells what is wrong with a request that reached no use case.
func requestProblem(status int, msg string, errs []error) *Problem {
	if status >= http.StatusInternalServerError {
		// A body that breaks off is the client's doing, not a bug.
		status, msg, errs = http.StatusBadRequest, "the request could not be read", nil
	}
	p := &Problem{Kind: vpn.Invalid, Detail: msg, Hint: "GET /openapi.json describes every request"}
	if s := reasons(errs); len(s) > 0 {
		p.Detail = strings.Join(s, "; ")
	}
	switch status {
	case http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	case http.StatusRequestEntityTooLarge:
		p.Detail, p.Hint = "the request body is too large", "send at most 1 MiB"
	case http.StatusUnsupportedMediaType:
		p.Detail, p.Hint = "the request body is not JSON", "send it with Content-Type: application/json"
	}
	return p.withStatus(status)
}

// reasons says in words what huma found wrong.
func reasons(errs []error) []string {
	var out []string
	for _, err := range errs {
		d, ok := errors.AsType[*huma.ErrorDetail](err)
		switch {
		case err == nil:
		case !ok:
			out = append(out, err.Error())
		case d.Message == validation.MsgUnexpectedProperty, d.Message == "unknown query parameter":
			out = append(out, "unknown "+place(d.Location))
		default:
			out = append(out, place(d.Location)+": "+d.Message)
		}
	}
	return out
}

// place names a location such as body.limits.quota or query.tail.
func place(location string) string {
	in, name, ok := strings.Cut(location, ".")
	switch {
	case !ok || name == "":
		return "request body"
	case in == "body":
		return fmt.Sprintf("field %q", name)
	}
	return fmt.Sprintf("%s parameter %q", in, name)
}

// unmarshal is [json.Unmarshal] with errors that mention no Go type, and takes
// no object that says the same thing twice.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		err = doubled(json.NewDecoder(bytes.NewReader(data)))
		if err != nil {
			return err
		}
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d", e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s does not fit field %q", e.Value, e.Field)
	}
	if err != nil {
		return errors.New("a value does not fit its field")
	}
	return nil
}

// doubled returns an error if an object in the value that d is at, which is
// valid JSON, has a field twice.
func doubled(d *json.Decoder) error {
	type object struct {
		fields map[string]bool // nil: an array
		value  bool            // a value comes next, not a name
	}
	var open []object
	for {
		t, err := d.Token()
		if err != nil {
			return nil //nolint:nilerr // the end: what is not JSON has been refused
		}
		last := len(open) - 1
		name, isText := t.(string)
		switch {
		case t == json.Delim('{'):
			open = append(open, object{fields: map[string]bool{}})
			continue
		case t == json.Delim('['):
			open = append(open, object{})
			continue
		case t == json.Delim('}'), t == json.Delim(']'):
			open = open[:last]
			last--
		case last >= 0 && isText && open[last].fields != nil && !open[last].value:
			if open[last].fields[name] {
				return fmt.Errorf("field %q stands there twice", name)
			}
			open[last].fields[name] = true
			open[last].value = true
			continue
		}
		if last >= 0 {
			open[last].value = false
		}
	}
}

// unrouted turns the plain text with which a ServeMux refuses a request into
// a problem.
type unrouted struct {
	http.ResponseWriter
	r *http.Request
}

func (u *unrouted) WriteHeader(status int) {
	e := vpn.Errorf(vpn.NotFound, "there is nothing at %q", u.r.URL.Path).
		WithHint("GET /openapi.json describes every request")
	if status == http.StatusMethodNotAllowed {
		e = vpn.Errorf(vpn.Invalid, "%q does not take the method %s", u.r.URL.Path, u.r.Method).
			WithHint("it takes %s", u.Header().Get("Allow"))
	}
	newProblem(e).withStatus(status).write(u.ResponseWriter)
}

// Write drops the text.
func (u *unrouted) Write(b []byte) (int, error) { return len(b), nil }
