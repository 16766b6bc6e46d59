// Package client speaks to the control plane's API. The command line and the
// terminal interface know the product through it alone, whether a daemon
// answers on a socket or a handler in the same process does.
//
// A refusal comes back as the *[vpn.Error] that it was on the other side:
// kind, message and hint. It decides nothing and retries nothing.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"vpn/internal/fields"
	"vpn/internal/vpn"
)

// Client is a connection to one control plane, with a field per noun of its
// API. It may be used concurrently.
type Client struct {
	Users   *Users
	Devices *Devices
	Usage   *Usage
	Servers *Servers
	System  *System
	Config  *Config
	caller  *caller
}

func newClient(rt http.RoundTripper) *Client {
	return clientOf(&caller{http: &http.Client{
		Transport: rt,
		// The API redirects nobody: a redirect means that a path was cleaned.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
}

func clientOf(c *caller) *Client {
	return &Client{Users: &Users{c}, Devices: &Devices{c}, Usage: &Usage{c}, Servers: &Servers{c}, System: &System{c}, Config: &Config{c}, caller: c}
}

// DryRun returns a client of the same control plane whose changes are none:
// everything is checked and answered as if it were done, and nothing is. A
// change that cannot be tried like that is refused.
func (c *Client) DryRun() *Client {
	return clientOf(&caller{http: c.caller.http, dryRun: true})
}

type caller struct {
	http   *http.Client
	dryRun bool
}

// call makes one exchange: in is sent as JSON unless it is nil, and the answer
// is decoded into out.
func call[Out any](ctx context.Context, c *caller, method, path string, in any) (Out, error) {
	var out Out
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer body.Close()
	answer := &ration{r: body, left: maxAnswer}
	if err := json.NewDecoder(answer).Decode(&out); err != nil {
		return out, broken(ctx, err)
	}
	// The rest is read so that an answer counts only when it is complete.
	if _, err := io.Copy(io.Discard, answer); err != nil {
		return out, broken(ctx, err)
	}
	return out, nil
}

const (
	maxExpected = 16 << 20  // bytes that an answer is given before it has come
	maxAnswer   = 128 << 20 // bytes of an answer, or of one thing in a stream; 100,000 users are less
)

// A ration reads no more than what is left: the machine of a daemon may be
// another's by now, which sends without an end.
type ration struct {
	r    io.Reader
	left int
}

func (r *ration) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, vpn.Errorf(vpn.Unavailable, "the daemon's answer has no end").WithHint("is it a daemon? what comes is larger than any of its answers")
	}
	n, err := r.r.Read(b[:min(len(b), r.left)])
	r.left -= n
	return n, err
}

// list asks for a list of which it is said which fields are wanted.
func list[T any](ctx context.Context, c *caller, path string, paths []string) ([]T, error) {
	resp, err := c.exchange(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.Grow(int(min(max(resp.ContentLength, 0), maxExpected)) + bytes.MinRead)
	if _, err := b.ReadFrom(&ration{r: resp.Body, left: maxAnswer}); err != nil {
		return nil, broken(ctx, err)
	}
	out, err := fields.Read[T](b.Bytes(), paths)
	if err != nil {
		return nil, broken(ctx, err)
	}
	return out, nil
}

// open makes one exchange and returns the answer's body.
func (c *caller) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	resp, err := c.exchange(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// exchange sends a request and returns what it is answered, unless that is a
// refusal.
func (c *caller) exchange(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	if c.dryRun && method != http.MethodGet {
		path = withQuery(path, "dry_run=true")
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://vpn"+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

func withQuery(path, query string) string {
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

// broken tells why an exchange came to no end.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		return e // what the dialer said
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // a path says nothing to whoever typed a command
	}
	switch text := err.Error(); {
	case strings.HasSuffix(text, "; received from peer"): // HTTP/2's words for it
		err = io.ErrUnexpectedEOF
	case strings.HasSuffix(text, "client connection lost"): // that it asked whether somebody is there
		return vpn.Errorf(vpn.Unavailable, "the connection to the daemon broke: nothing comes from there any more").
			WithHint("try again; a change may have been made: look first")
	}
	return vpn.Errorf(vpn.Unavailable, "the connection to the daemon broke: %w", err).
		WithHint("see whether it runs: vpn status")
}

// problem is what a refusal of the API is for a client (RFC 9457).
type problem struct {
	Kind   vpn.Kind `json:"kind"`
	Detail string   `json:"detail"`
	Hint   string   `json:"hint,omitempty"`
}

// refusal reads a problem document back into the error that it was.
func refusal(resp *http.Response) error {
	var p problem
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p)
	if err != nil || p.Kind == "" {
		return vpn.Errorf(vpn.Internal, "the daemon answered %s", resp.Status).
			WithHint("is it of the same version? vpn version; vpn status")
	}
	return &vpn.Error{Kind: p.Kind, Message: p.Detail, Hint: p.Hint}
}

// pathOf returns the path of a thing, or of what belongs to it. The name may
// hold anything; an empty one is refused, because it would name the whole list.
func pathOf(noun, name string, more ...string) (string, error) {
	segment, err := segment(name)
	return "/v1/" + noun + "/" + segment + strings.Join(more, ""), err
}

// segment returns name as a part of a path.
func segment(name string) (string, error) {
	switch name {
	case "":
		return "", vpn.Errorf(vpn.Invalid, "the name is empty").WithHint("is a variable in it not set?")
	case ".", "..":
		return strings.ReplaceAll(name, ".", "%2E"), nil // a server resolves them if they stand bare
	}
	return url.PathEscape(name), nil
}

// callOn is call for a thing that is given by name.
func callOn[Out any](ctx context.Context, c *caller, method, noun, name, verb string, in any) (Out, error) {
	path, err := pathOf(noun, name, verb)
	if err != nil {
		var none Out
		return none, err
	}
	return call[Out](ctx, c, method, path, in)
}
