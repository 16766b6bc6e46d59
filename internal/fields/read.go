package fields

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Read reads a list that a [Writer] of the same paths wrote. It returns what
// [json.Unmarshal] would, of any other text too.
func Read[T any](b []byte, paths []string) ([]T, error) {
	if p := planOf(reflect.TypeFor[T](), paths); p.isPlain() {
		if list, ok := readList[T](&p, b); ok {
			return list, nil
		}
	}
	var list []T
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("read a list: %w", err)
	}
	return list, nil
}

// isPlain reports whether a reader knows all that p leads to.
func (p *plan) isPlain() bool {
	if p.typ == reflect.TypeFor[time.Time]() {
		return true
	}
	if p.own || unmarshals(p.typ) {
		return false
	}
	for i := range p.fields {
		if !p.fields[i].value.isPlain() {
			return false
		}
	}
	switch p.typ.Kind() {
	case reflect.Struct:
		return len(p.fields) > 0
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

func unmarshals(t reflect.Type) bool {
	for _, i := range []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()} {
		if reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// A reader goes through text that was written by a plan. It gives up at the
// first byte that the plan would not have written, or that means more than
// it says, such as an escape.
type reader struct{ rest string }

func readList[T any](p *plan, b []byte) ([]T, bool) {
	r := reader{string(bytes.TrimSuffix(b, []byte("\n")))}
	if !r.take("[") {
		return nil, false
	}
	list := make([]T, 0, 1+bytes.Count(b, []byte("},{")))
	if r.take("]") {
		return list, len(r.rest) == 0
	}
	for {
		var zero T
		list = append(list, zero)
		if !r.value(p, reflect.ValueOf(&list[len(list)-1]).Elem()) {
			return nil, false
		}
		if !r.take(",") {
			return list, r.take("]") && len(r.rest) == 0
		}
	}
}

// take goes past s, if that is what comes next.
func (r *reader) take(s string) bool {
	rest, ok := strings.CutPrefix(r.rest, s)
	r.rest = rest
	return ok
}

// next goes past n bytes and returns them.
func (r *reader) next(n int) string {
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) value(p *plan, v reflect.Value) bool {
	if p.fields == nil {
		return r.leaf(p, v)
	}
	if !r.take("{") {
		return false
	}
	if r.take("}") {
		return true
	}
	for i := range p.fields {
		f := &p.fields[i]
		if !r.take(f.key) {
			continue // it was left out, or is not known
		}
		if !r.value(&f.value, v.FieldByIndex(f.index)) {
			return false
		}
		if r.take("}") {
			return true
		}
		if !r.take(",") {
			return false
		}
	}
	return false
}

func (r *reader) leaf(p *plan, v reflect.Value) bool {
	switch p.typ.Kind() {
	case reflect.Struct:
		t, isTime := v.Addr().Interface().(*time.Time)
		s, ok := r.quoted()
		return ok && isTime && t.UnmarshalText([]byte(s)) == nil
	case reflect.String:
		s, ok := r.quoted()
		v.SetString(s)
		return ok
	case reflect.Bool:
		yes := r.take("true")
		v.SetBool(yes)
		return yes || r.take("false")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(r.number(), 10, p.typ.Bits())
		v.SetUint(n)
		return err == nil
	}
	n, err := strconv.ParseInt(r.number(), 10, p.typ.Bits())
	v.SetInt(n)
	return err == nil
}

// quoted goes past a string, of which every byte has to stand for itself.
func (r *reader) quoted() (string, bool) {
	if !r.take(`"`) {
		return "", false
	}
	n, ascii := 0, true
	for n < len(r.rest) && r.rest[n] != '"' {
		if c := r.rest[n]; c < ' ' || c == '\\' {
			return "", false
		} else if c >= utf8.RuneSelf {
			ascii = false
		}
		n++
	}
	s := r.next(n)
	return s, r.take(`"`) && (ascii || utf8.ValidString(s))
}

// number goes past an integer that is written without need for more, and
// returns nothing if there is none.
func (r *reader) number() string {
	n := 0
	for n < len(r.rest) && (r.rest[n] >= '0' && r.rest[n] <= '9' || r.rest[n] == '-') {
		n++
	}
	s := r.next(n)
	if digits := strings.TrimPrefix(s, "-"); len(digits) > 1 && digits[0] == '0' {
		return "" // is no JSON
	}
	return s
}
