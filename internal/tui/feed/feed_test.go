package feed_test

import (
	"context"
	"testing"
	"time"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func ask(d *feed.Data, need feed.Topic, now time.Time) int {
	asks := d.Due(need, now, time.Second)
	for _, a := range asks {
		d.Take(a(), now)
	}
	return len(asks)
}

func TestAsksForWhatIsNeededAndNoMoreOften(t *testing.T) {
	now := tuitest.Now()
	d := feed.New(&tuitest.Fleet{N: 10_000})
	if n := ask(d, feed.Status|feed.Users, now); n != 2 || len(d.Users) != 10_000 || !d.Known(feed.Status) || d.Known(feed.Host) {
		t.Fatalf("%d questions", n)
	}
	users := 0
	for range 180 {
		now = now.Add(time.Second)
		users += ask(d, feed.Users, now)
	}
	if users != 3 {
		t.Errorf("10,000 users were asked for %d times in three minutes", users)
	}
	d.Stale(feed.Users)
	now = now.Add(time.Second)
	if ask(d, feed.Users, now) != 1 {
		t.Error("a change of a user is not followed")
	}
	d.Stale(feed.Users)
	if ask(d, feed.Users, now.Add(100*time.Millisecond)) != 0 {
		t.Error("many changes make many questions")
	}
}

func TestOneQuestionAtATime(t *testing.T) {
	d := feed.New(&tuitest.Fleet{N: 1})
	now := tuitest.Now()
	first := d.Due(feed.Status, now, time.Second)
	if len(first) != 1 || len(d.Due(feed.Status, now.Add(time.Minute), time.Second)) != 0 {
		t.Error("asked again before there was an answer")
	}
	d.Take(first[0](), now)
	if len(d.Due(feed.Status, now.Add(time.Minute), time.Second)) != 1 {
		t.Error("not asked again after the answer")
	}
}

func TestAFaultKeepsWhatIsKnown(t *testing.T) {
	f := &tuitest.Fleet{N: 3}
	d := feed.New(f)
	now := tuitest.Now()
	ask(d, feed.Users, now)
	f.Err = vpn.Errorf(vpn.Unavailable, "gone")
	now = now.Add(time.Minute)
	ask(d, feed.Users, now)
	if len(d.Users) != 3 || d.Err(feed.Users) == nil || d.Age(feed.Users, now) != time.Minute {
		t.Errorf("%d users, %v, %v old", len(d.Users), d.Err(feed.Users), d.Age(feed.Users, now))
	}
}

func TestRecentSpeeds(t *testing.T) {
	d := feed.New(&tuitest.Fleet{N: 3})
	now := tuitest.Now()
	ask(d, feed.Rates|feed.Top, now)
	all, main, none := d.Recent("", 120), d.Recent("main", 120), d.Recent("other", 120)
	if len(all.Down) != 120 || all.Down[119] <= main.Down[119] || main.Down[119] == 0 || none.Down[119] != 0 || all.Online[0] != 270 {
		t.Errorf("%v %v %v %v", all.Down[119], main.Down[119], none.Down[119], all.Online[0])
	}
	if f := d.Fastest(); len(f) != 5 || f[0].Down < f[1].Down {
		t.Errorf("%+v", f)
	}
}

// crowd is users of whom some are online.
type crowd struct {
	tuitest.Fleet
	online []vpn.UserInfo
}

func (c *crowd) Online(context.Context) ([]vpn.UserInfo, error) { return c.online, nil }

// Of those who are online, what they do now is known without asking for all
// users; of those who are not any more, that they are not.
func TestWhoIsOnline(t *testing.T) {
	c := &crowd{Fleet: tuitest.Fleet{N: 20}}
	d := feed.New(c)
	now := tuitest.Now()
	ask(d, feed.Users, now)
	user := func(i int) vpn.UserInfo { return d.Users[i] }
	if user(7).Online == 0 || user(0).Online != 0 {
		t.Fatalf("%+v", d.Users[:8])
	}
	c.online = []vpn.UserInfo{
		{User: vpn.User{ID: user(0).ID, Used: vpn.Traffic{Down: 7e9}}, Status: vpn.Limited, Online: 3, Rate: vpn.Rate{Down: 5}},
		{User: vpn.User{ID: "somebody new"}, Online: 1},
	}
	name := user(0).Name
	ask(d, feed.Online, now)
	if u := user(0); u.Name != name || u.Online != 3 || u.Rate.Down != 5 || u.Used.Down != 7e9 || u.Status != vpn.Limited || user(7).Online != 0 {
		t.Errorf("%+v", d.Users[:8])
	}
	c.online = nil
	ask(d, feed.Online, now.Add(time.Minute))
	if u := user(0); u.Online != 0 || u.Rate != (vpn.Rate{}) || u.Used.Down != 7e9 {
		t.Errorf("%+v", u)
	}
}
