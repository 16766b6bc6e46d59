package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"vpn/internal/vpn"
)

const (
	callTimeout = 2 * time.Second
	specTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second
)

// A Process is the process of a worker, as its runtime holds it.
type Process interface {
	// Resume lets it go on if it is suspended, Terminate asks it to stop in
	// order, Kill ends it at once. They return without waiting; a process
	// that has ended is no error.
	Resume() error
	Terminate() error
	Kill() error

	// Done is closed when it has ended.
	Done() <-chan struct{}
}

// A Dial opens a connection to the control socket of one worker, and of no
// other that may have come after it.
type Dial func(ctx context.Context) (net.Conn, error)

// A Client is one running worker, as the control plane sees it. Calls fail
// with kind [vpn.Unavailable] when the worker does not answer in time; what
// the worker itself answers keeps its kind and hint. Methods may be called
// concurrently.
type Client struct {
	process Process
	http    http.Client
	trips   *http.Transport

	mu   sync.Mutex
	stop *stop // the stop that is under way, or has succeeded
}

// NewClient returns a client of the worker that p is and dial reaches. The
// caller closes it, at the latest when the worker has ended.
func NewClient(dial Dial, p Process) *Client {
	trips := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 2, // a sample and a change at one time
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
	return &Client{process: p, http: http.Client{Transport: trips}, trips: trips}
}

// Close lets go of the worker's connections. The worker lives on, and so may
// the client.
func (c *Client) Close() { c.trips.CloseIdleConnections() }

// Health returns what the worker says of itself.
func (c *Client) Health(ctx context.Context) (vpn.Health, error) {
	var out vpn.Health
	err := c.call(ctx, callTimeout, http.MethodGet, "/v1/health", nil, &out)
	return out, err
}

// Put tells the worker the whole truth. One that is older than what it knows
// is refused with kind [vpn.Conflict].
func (c *Client) Put(ctx context.Context, s vpn.Spec) error {
	return c.call(ctx, specTimeout, http.MethodPut, "/v1/spec", toWireSpec(s), nil)
}

// Patch tells the worker a change. One that does not lead on from what the
// worker knows is refused with kind [vpn.Conflict]: Put the whole truth then.
func (c *Client) Patch(ctx context.Context, p vpn.Patch) error {
	return c.call(ctx, specTimeout, http.MethodPatch, "/v1/spec", toWirePatch(p), nil)
}

// Usage returns the counters that moved after sequence number after; 0 gives
// all of them.
func (c *Client) Usage(ctx context.Context, after uint64) (vpn.Counters, error) {
	form, answer, err := c.exchange(ctx, callTimeout, http.MethodGet, "/v1/usage?after="+strconv.FormatUint(after, 10), nil, usageForm)
	if err != nil {
		return vpn.Counters{}, err
	}
	var out vpn.Counters
	if form == usageForm {
		out, err = parseUsage(answer)
	} else { // a worker of an earlier version
		err = json.Unmarshal(answer, &out)
	}
	if err != nil {
		return vpn.Counters{}, fmt.Errorf("read the worker's answer: %w", err)
	}
	return out, nil
}

// Sessions returns the live sessions.
func (c *Client) Sessions(ctx context.Context) ([]vpn.Session, error) {
	var out []vpn.Session
	err := c.call(ctx, callTimeout, http.MethodGet, "/v1/sessions", nil, &out)
	return out, err
}

// Kick ends a user's live connections and returns how many there were.
func (c *Client) Kick(ctx context.Context, u vpn.UserID) (int, error) {
	var out wireKicked
	query := url.Values{"user": {string(u)}}
	err := c.call(ctx, callTimeout, http.MethodDelete, "/v1/sessions?"+query.Encode(), nil, &out)
	return out.Connections, err
}

// Done is closed when the worker's process has ended.
func (c *Client) Done() <-chan struct{} { return c.process.Done() }

// call sends in, if it is not nil, and decodes the answer into out, if that
// is not nil.
func (c *Client) call(ctx context.Context, timeout time.Duration, method, path string, in, out any) error {
	_, answer, err := c.exchange(ctx, timeout, method, path, in, "application/json")
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the worker's answer: %w", err)
	}
	return nil
}

// exchange sends in, if it is not nil, and returns the answer and its form,
// which is the one asked for or JSON.
func (c *Client) exchange(ctx context.Context, timeout time.Duration, method, path string, in any, accept string) (form string, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return "", nil, fmt.Errorf("encode a request to the worker: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://worker"+path, body)
	if err != nil {
		return "", nil, fmt.Errorf("make a request to the worker: %w", err)
	}
	req.Header.Set("Accept", accept)
	resp, err := c.http.Do(req)
	if err != nil {
		return "", nil, silent(c.process, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.Grow(int(min(max(resp.ContentLength, 0), maxBody)) + bytes.MinRead) // or it would be copied as it grows
	if _, err := b.ReadFrom(io.LimitReader(resp.Body, maxBody)); err != nil {
		return "", nil, silent(c.process, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", nil, refusal(resp, b.Bytes())
	}
	return resp.Header.Get("Content-Type"), b.Bytes(), nil
}

// silent is the error of a call that was not answered.
func silent(p Process, err error) error {
	select {
	case <-p.Done():
		return &vpn.Error{Kind: vpn.Unavailable, Message: "the worker has ended", Err: err}
	default:
		return &vpn.Error{Kind: vpn.Unavailable, Message: "the worker does not answer", Err: err}
	}
}

// errUnknownCall is under the error of a call that the worker does not know: it
// is of an earlier version.
var errUnknownCall = errors.New("unknown call")

// refusal is the error that the worker answered.
func refusal(resp *http.Response, answer []byte) error {
	var w wireError
	if json.Unmarshal(answer, &w) != nil || w.Kind == "" {
		e := vpn.Errorf(vpn.Internal, "the worker answered %s", resp.Status)
		if resp.StatusCode == http.StatusNotFound {
			e.Err = errUnknownCall
		}
		return e
	}
	return &vpn.Error{Kind: w.Kind, Message: w.Message, Hint: w.Hint}
}
