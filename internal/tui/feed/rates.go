package feed

import (
	"slices"
	"time"

	"vpn/internal/vpn"
)

// Series are the speeds of the last minutes, one value a second, the oldest
// first, in bytes per second.
type Series struct {
	Down, Up []float64
	Online   []float64 // connections
}

// recent is what is known of the last minutes, by server.
type recent struct {
	until   time.Time
	servers map[string]map[int64]vpn.RatePoint // by name, by second
}

// take adds what was learnt and forgets what is too old.
func (r *recent) take(rates vpn.Rates) {
	if r.servers == nil || rates.Until.Before(r.until) {
		r.servers = map[string]map[int64]vpn.RatePoint{} // another daemon's
	}
	r.until = rates.Until
	for _, p := range rates.Points {
		if r.servers[p.Of] == nil {
			r.servers[p.Of] = map[int64]vpn.RatePoint{}
		}
		r.servers[p.Of][p.At.Unix()] = p
	}
	oldest := r.until.Add(-vpn.RatesSpan).Unix()
	for name, points := range r.servers {
		for second := range points {
			if second <= oldest {
				delete(points, second)
			}
		}
		if len(points) == 0 {
			delete(r.servers, name)
		}
	}
}

// Recent returns the speeds of the last n seconds over one server, or over
// all if server is empty. What is not known is 0.
func (d *Data) Recent(server string, n int) Series {
	s := Series{Down: make([]float64, n), Up: make([]float64, n), Online: make([]float64, n)}
	first := d.rates.until.Unix() - int64(n) + 1
	for name, points := range d.rates.servers {
		if server != "" && name != server {
			continue
		}
		for i := range n {
			if p, ok := points[first+int64(i)]; ok {
				s.Down[i] += float64(p.Down)
				s.Up[i] += float64(p.Up)
				s.Online[i] += float64(p.Online)
			}
		}
	}
	return s
}

// Fastest returns the users who move the most now, the fastest first.
func (d *Data) Fastest() []vpn.RatePoint { return d.fastest }

func fastest(rates vpn.Rates) []vpn.RatePoint {
	var out []vpn.RatePoint
	for _, p := range rates.Points {
		if p.At.Equal(rates.Until) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b vpn.RatePoint) int {
		x, y := a.Up+a.Down, b.Up+b.Down
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out
}
