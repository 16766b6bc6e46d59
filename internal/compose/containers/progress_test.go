package containers

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What another program does to containers is told once, when it is done.
func TestProgress(t *testing.T) {
	t.Parallel()
	began := time.Now()
	of := func(words string) (all []Container) { // service:id:state, in the order in which they were made
		for k, word := range strings.Fields(words) {
			f := strings.Split(word, ":")
			all = append(all, Container{Service: f[0], ID: f[1], State: f[2], Created: began.Add(time.Duration(k))})
		}
		return all
	}
	var said []string
	p := progress{
		say:    func(done, service string) { said = append(said, done+" "+service) },
		before: newest(of("control:1:running main:2:running old:3:running idle:4:exited")), told: map[string]bool{},
	}
	for _, c := range []struct {
		now  string
		end  bool
		want []string
	}{
		{now: "control:1:running main:2:running old:3:running idle:4:exited"},
		{now: "control:1:running main:2:exited idle:4:exited", want: nil},                                        // on its way
		{now: "control:1:running main:2:exited main:5:created idle:4:running", want: []string{"started idle"}},   // the new one beside the old
		{now: "control:1:running main:5:running idle:4:running new:6:created", want: []string{"recreated main"}}, // and in its place
		{now: "control:1:running main:5:running idle:4:running new:6:running", want: []string{"created new"}},    //
		{now: "control:1:running main:5:running idle:4:running new:6:running", end: true, want: []string{"removed old"}},
		{now: "control:1:running main:5:running idle:4:running new:6:running", end: true},
	} {
		said = nil
		if p.look(of(c.now), c.end); !slices.Equal(said, c.want) {
			t.Errorf("at %s it says %q, want %q", c.now, said, c.want)
		}
	}
}
