package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// A Stream is an answer of which nobody knows the end. One goroutine reads it;
// any may close it.
type Stream[T any] struct {
	ctx  context.Context //nolint:containedctx // of the request, whose answer this is
	body io.ReadCloser
	next *ration // of body
	dec  *json.Decoder
}

// openStream asks for a stream. It returns when the other side has begun.
func openStream[T any](ctx context.Context, c *caller, path string) (*Stream[T], error) {
	body, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	next := &ration{r: body}
	return &Stream[T]{ctx: ctx, body: body, next: next, dec: json.NewDecoder(next)}, nil
}

// Next waits for the next thing and returns it. The error is [io.EOF] when the
// other side has nothing more to say, and that of the request's context when
// this has ended.
func (s *Stream[T]) Next() (T, error) {
	var x T
	s.next.left = maxAnswer
	err := s.dec.Decode(&x)
	switch {
	case err == nil, errors.Is(err, io.EOF) && s.ctx.Err() == nil:
		return x, err
	}
	return x, broken(s.ctx, err)
}

// Close ends the stream; Next returns with an error.
func (s *Stream[T]) Close() error { return s.body.Close() }
