package worker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpn/internal/vpn"
)

func fullCounters() vpn.Counters {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	return vpn.Counters{
		Epoch: "e", Seq: 1<<64 - 1, CeilingsTurn: 2, SharesTurn: 3, At: 4, CPU: 5,
		Counters: []vpn.Counter{
			{Credential: "c", User: "u", Traffic: vpn.Traffic{Up: vpn.MaxTraffic, Down: 6}, Conns: 7},
			{},
		},
		Demands: []vpn.Demand{
			{
				User: "u", RateUp: 1, RateDown: 2, Devices: 3, Connections: 4, Up: 5, Down: 6, WaitUp: 7, WaitDown: 8, Conns: 9, Dry: true,
				Networks: []vpn.Presence{
					{Network: netip.MustParsePrefix("203.0.113.1/32"), Since: 10, Silent: 11},
					{Network: netip.MustParsePrefix("2001:db8::/64"), Since: -1},
					{},
				},
			},
			{User: "v"},
		},
		FirstUses: []vpn.FirstUse{{User: "u", Held: now, At: now.Add(time.Hour)}, {}},
	}
}

var alike = gocmp.Options{gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty()}

// The form of usage says all that JSON says, so that nothing is lost when a
// field is added to one and forgotten in the other.
func TestUsageFormSaysAll(t *testing.T) {
	want := fullCounters()
	got, err := parseUsage(appendUsage(nil, &want))
	if diff := gocmp.Diff(want, got, alike); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	var fields map[string]any
	for _, v := range []any{want.Counters[0], want.Demands[0], want.Demands[0].Networks[0], want} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fields = map[string]any{}
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for name, value := range fields {
			if value == nil || value == 0.0 || value == "" {
				t.Errorf("the test says nothing about field %s of %T", name, v)
			}
		}
	}
}

// A worker and a control plane of which one is older speak JSON.
func TestUsageIsJSONUnlessAskedFor(t *testing.T) {
	h, _ := newTestHost(t, &fakeEngine{})
	h.meter.Set([]vpn.Grant{{Credential: "c", User: "u"}})
	f, err := h.meter.Open("c", netip.MustParseAddrPort("203.0.113.1:1"), "tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for accept, form := range map[string]string{"": "application/json", "application/json": "application/json", usageForm: usageForm} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/v1/usage", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		h.handler().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); got != form {
			t.Errorf("who accepts %q is told %q", accept, got)
		}
		var cs vpn.Counters
		if form == usageForm {
			cs, err = parseUsage(w.Body.Bytes())
		} else {
			err = json.Unmarshal(w.Body.Bytes(), &cs)
		}
		if err != nil || len(cs.Counters) != 1 || cs.Counters[0].Conns != 1 {
			t.Errorf("who accepts %q is told %+v, %v", accept, cs, err)
		}
	}
}

// FuzzUsageForm holds the reader to what it says of any bytes: it does not
// panic, takes no more memory than they are worth, and what it understands it
// can say again.
func FuzzUsageForm(f *testing.F) {
	c := fullCounters()
	f.Add(appendUsage(nil, &c))
	f.Add(appendUsage(nil, &vpn.Counters{}))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseUsage(b)
		if err != nil {
			return
		}
		again, err := parseUsage(appendUsage(nil, &got))
		if diff := gocmp.Diff(got, again, alike); err != nil || diff != "" {
			t.Errorf("%v (-first +second):\n%s", err, diff)
		}
	})
}
