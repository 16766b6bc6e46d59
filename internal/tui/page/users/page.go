// Package users is the screen of all users: a list that is filtered, sorted
// and marked, one user's details, and all that can be done to users.
//
// It asks the API and shows what it says; what may be done is the API's to
// decide. Nothing here does I/O but in commands.
package users

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// UserAPI is what is asked about users; [client.Users] has it.
type UserAPI interface {
	Create(ctx context.Context, in vpn.NewUser) (vpn.UserChange, error)
	Show(ctx context.Context, user string) (vpn.UserDetail, error)
	Update(ctx context.Context, user string, p vpn.UserPatch) (vpn.UserChange, error)
	Delete(ctx context.Context, user string) (vpn.UserChange, error)
	Restore(ctx context.Context, user string, in vpn.UserRestore) (vpn.UserChange, error)
	Reset(ctx context.Context, user string) (vpn.UserChange, error)
	Kick(ctx context.Context, user string) (vpn.Kicked, error)
	Access(ctx context.Context, user string) ([]vpn.Access, error)
}

// DeviceAPI is what is asked about their devices and keys.
type DeviceAPI interface {
	Add(ctx context.Context, user string, in vpn.NewDevice) (vpn.UserChange, error)
	List(ctx context.Context, user string) ([]vpn.Device, error)
	Remove(ctx context.Context, user, device string) (vpn.UserChange, error)
	Rotate(ctx context.Context, user string, in vpn.Rotation) (vpn.UserChange, error)
}

// UsageAPI is what is asked about their traffic.
type UsageAPI interface {
	History(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error)
}

// API is what the page asks of the control plane.
type API struct {
	Users   UserAPI
	Devices DeviceAPI
	Usage   UsageAPI
}

// Options are what the page needs of the world besides.
type Options struct {
	// After is a timer; nil: [tea.Tick].
	After func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd

	// Write makes a file that only its owner may read, and that is not there
	// yet: else its error is an [os.ErrExist]. nil: as this process does.
	Write func(path string, data []byte) error
}

// Layouts: what is narrower than wide shows one pane at a time.
const wide = 110

// Page is the screen.
type Page struct {
	frame   page.Frame
	api     API
	o       Options
	list    *list
	detail  *detail
	actions map[string]func() tea.Cmd

	inDetail bool // the keys go to the details, not to the list
	expanded bool // the pane with the keys has the whole screen
	w        int  // of the last rendering
	listW    int
	asked    int // the number of the last question whose answer is waited for
}

var (
	_ page.Page     = (*Page)(nil)
	_ page.Follower = (*Page)(nil)
)

// New returns the screen.
func New(f page.Frame, api API, o Options) *Page {
	if o.After == nil {
		o.After = tea.Tick
	}
	if o.Write == nil {
		o.Write = create
	}
	p := &Page{frame: f, api: api, o: o, list: newList(f), detail: newDetail(f, api, o)}
	p.actions = actions(p)
	return p
}

// Needs implements [page.Page].
func (p *Page) Needs() feed.Topic { return feed.Users | feed.Online }

// Show goes to a user, by name, now or as soon as it is known of. With a
// filter, "/is:expired", it shows whom that selects.
func (p *Page) Show(what string) tea.Cmd {
	if filter, ok := cutSlash(what); ok {
		p.list.input.SetValue(filter)
		p.list.refresh()
		p.inDetail = false
		return nil
	}
	if what != "" && !p.list.show(what) {
		p.list.goal = what
	}
	return nil
}

func cutSlash(s string) (string, bool) {
	if s == "" || s[0] != '/' {
		return s, false
	}
	return s[1:], true
}

// Type takes what is written into the filter. The keys that end it, and those
// that move the list beside it, are not the field's.
func (p *Page) Type(msg tea.Msg) bool {
	if !p.list.input.Focused() {
		return false
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "enter", "esc", "tab", "shift+tab", "up", "down", "pgup", "pgdown":
			return false
		}
	}
	p.list.write(msg)
	return true
}

// Do implements [page.Page].
func (p *Page) Do(action string) (tea.Cmd, bool) {
	p.asked++ // what is still to be answered opens nothing any more
	if p.move(action) {
		return nil, true
	}
	switch action {
	case key.Back:
		return nil, p.back()
	case key.Open:
		if p.list.input.Focused() {
			p.list.input.Blur()
		} else if p.list.current() != nil {
			p.inDetail = true
		}
	case key.NextPane, key.LastPane:
		p.inDetail = !p.inDetail && !p.list.input.Focused() && p.list.current() != nil
		p.list.input.Blur()
	case key.Filter:
		p.inDetail, p.expanded = false, false
		p.list.input.Focus()
	case key.Expand:
		p.expanded = !p.expanded
	default:
		do, ok := p.actions[action]
		if !ok {
			return nil, false
		}
		return do(), true
	}
	return nil, true
}

// move moves the cursor, or scrolls the details.
func (p *Page) move(action string) bool {
	half := max(p.list.height/2, 1)
	by, ok := map[string]int{key.Up: -1, key.Down: 1, key.PageUp: -half, key.PageDown: half, key.Top: -1 << 30, key.Bottom: 1 << 30}[action]
	if ok && p.inDetail {
		p.detail.scroll(by)
	} else if ok {
		p.list.table.Move(by)
	}
	return ok
}

// back leaves the innermost that can be left.
func (p *Page) back() bool {
	switch {
	case p.list.input.Focused():
		p.list.clear()
	case p.inDetail:
		p.inDetail = false
	case p.expanded:
		p.expanded = false
	default:
		return p.list.clear() || p.list.table.Unmark()
	}
	return true
}

// Learn implements [page.Page].
func (p *Page) Learn(t feed.Topic) {
	switch t {
	case feed.Users:
		p.list.learn()
		p.detail.stale()
	case feed.Online:
		p.list.moved()
		p.detail.stale()
	case feed.Status:
		p.list.learnServers()
	}
	if p.list.current() == nil {
		p.inDetail = false
	}
}

// Follow asks for the details of the user under the cursor.
func (p *Page) Follow() tea.Cmd {
	if p.w > 0 && !p.showsDetail() {
		return nil
	}
	return p.detail.follow(p.list.current())
}

// answer is what was asked outside of the UI's goroutine.
type answer struct {
	number int
	err    error
	then   func() tea.Cmd
}

// ask asks and, unless something else is done meanwhile, goes on with the
// answer.
func ask[T any](p *Page, get func(ctx context.Context) (T, error), then func(T) tea.Cmd) tea.Cmd {
	p.asked++
	number := p.asked
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		v, err := get(ctx)
		return answer{number, err, func() tea.Cmd { return then(v) }}
	}
}

// askTimeout is how long an answer is waited for.
const askTimeout = 10 * time.Second

// Update implements [page.Page].
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case answer:
		switch {
		case m.number != p.asked:
		case m.err != nil:
			return p.frame.Say(page.Fault, faultText(m.err))
		default:
			return m.then()
		}
	default:
		return p.detail.update(msg)
	}
	return nil
}

func faultText(err error) string {
	text := err.Error()
	if hint := vpn.HintOf(err); hint != "" {
		text += "\nhint: " + hint
	}
	return text
}

// showsDetail reports whether details are on the screen.
func (p *Page) showsDetail() bool { return p.inDetail || p.w >= wide && !p.expanded }

// Render implements [page.Page].
func (p *Page) Render(w, h int) []string {
	p.w = w
	if h < 1 {
		return nil
	}
	out := append(make([]string, 0, h), p.list.line(w))
	u := p.list.current()
	both := w >= wide && !p.expanded && u != nil
	switch {
	case both:
		p.listW = w * 3 / 5
		out = append(out, widget.Beside(p.list.render(p.listW, h-1, !p.inDetail), p.detail.render(u, w-p.listW, h-1, p.inDetail))...)
	case p.inDetail && u != nil:
		p.listW = 0
		out = append(out, p.detail.render(u, w, h-1, true)...)
	default:
		p.listW = w
		out = append(out, p.list.render(w, h-1, true)...)
	}
	return out
}

// Click implements [page.Page].
func (p *Page) Click(x, y int) tea.Cmd {
	switch {
	case y == 0:
		p.inDetail = false
		p.list.input.Focus()
	case x >= p.listW:
		p.list.input.Blur()
		p.inDetail = p.list.current() != nil
	default:
		p.list.input.Blur()
		p.inDetail = p.list.click(x-1, y-2) && p.w < wide
	}
	return nil
}

// Wheel implements [page.Page].
func (p *Page) Wheel(lines int) {
	if p.inDetail {
		p.detail.scroll(lines)
	} else {
		p.list.table.Move(lines)
	}
}

// Rows implements [page.Page].
func (p *Page) Rows() page.Rows { return pointer{p} }

// pointer finds rows on the screen.
type pointer struct{ *Page }

// Point implements [page.Page]: the details are of the row under the cursor.
func (p pointer) Point(x, y int) bool {
	if y == 0 {
		return false
	}
	p.list.input.Blur()
	if x >= p.listW {
		return p.list.current() != nil
	}
	p.inDetail = false
	return p.list.table.Point(y - 2)
}

// Anchor implements [page.Page].
func (p pointer) Anchor() (x, y int, ok bool) {
	ok = p.list.current() != nil
	if p.listW == 0 {
		return 8, 1, ok
	}
	return 8, p.list.table.Line() + 2, ok
}
