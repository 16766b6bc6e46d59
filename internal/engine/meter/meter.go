// Package meter is the one place where bytes are counted and users are held
// to their limits, for every protocol: validity, ceilings, rates, devices and
// connections.
//
// An engine opens a [Flow] for each connection or datagram association of a
// credential, passes its bytes through Wait or Take, and closes it. The meter
// knows no protocol, opens no socket and writes no file.
//
// # Locks
//
// Each user has one mutex, which guards all that the user's flows count and
// share; it is held for some nanoseconds per call and never while anything
// waits. [Meter] has one more, for who is known at all; it is taken first.
// Neither is held while an engine's cut function runs.
package meter

import (
	"cmp"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/clock"
	"vpn/internal/vpn"
)

// tick is how often expiry is enforced.
const tick = 250 * time.Millisecond

// The reasons to refuse or cut a flow.
var (
	errUnknown     error = vpn.Errorf(vpn.Denied, "the credential is not known here")
	errRemoved     error = vpn.Errorf(vpn.Denied, "the credential was removed")
	errBlocked     error = vpn.Errorf(vpn.Denied, "the user is blocked")
	errEarly       error = vpn.Errorf(vpn.Denied, "the credential is not valid yet")
	errExpired     error = vpn.Errorf(vpn.Denied, "the credential has expired")
	errCeiling     error = vpn.Errorf(vpn.Denied, "the user has no traffic left on this server")
	errDevices     error = vpn.Errorf(vpn.Denied, "the user has too many devices")
	errMoved       error = vpn.Errorf(vpn.Denied, "another device of the user has taken the place")
	errConnections error = vpn.Errorf(vpn.Denied, "the user has too many connections")
	errKicked      error = vpn.Errorf(vpn.Denied, "the user was disconnected")
	errStopped     error = vpn.Errorf(vpn.Unavailable, "the server is stopping")
	errClosed      error = vpn.Errorf(vpn.Internal, "the flow is closed")
)

// Options say what a [Meter] is built from.
type Options struct {
	Epoch string           // names this life of the counters
	Now   func() time.Time // the wall clock; nil: [time.Now]
	Grace time.Duration    // how long a device must be silent to lose its place; 0: ten seconds
	Log   *slog.Logger     // nil: nowhere
	// Most is how many connections all users may have together, 0 being any
	// number. Each of them may have as many as are left.
	Most int
}

// A Meter counts the bytes of every credential of one server and holds its
// users to their limits. It begins knowing nobody. Its methods may be called
// concurrently.
type Meter struct {
	epoch string
	log   *slog.Logger
	clock *clock.Clock
	grace time.Duration
	conns atomic.Int64 // live flows
	crowd crowd
	// workers is among how many workers the users' limits are shared.
	workers atomic.Int64
	// activity is the time since the meter was made, as of the last tick: what
	// is close enough to tell who is silent, and free to read.
	activity atomic.Int64
	stop     chan struct{}
	ticker   sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	credentials map[vpn.CredentialID]*credential
	// retired holds removed credentials whose last count was acknowledged.
	// One that comes back within the epoch counts on from there.
	retired    map[vpn.CredentialID]*credential
	users      map[vpn.UserID]*user
	begun      map[*user]bool // those whose first use was here and is to be told
	generation uint64         // counts the calls of Set
	seq        uint64         // of the latest change that Usage noticed
	restless   []*user        // those who are live, or of whom there may be something to tell
	settled    uint64         // readers who know less than this must be told of the others, too
	lastFlow   uint64         // id of the newest flow
	nextExpiry time.Time      // no live flow expires before; zero: none expires
}

// New returns a meter that knows nobody. The caller must Close it.
func New(o Options) *Meter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Meter{
		epoch:       o.Epoch,
		crowd:       crowd{most: int64(o.Most), log: o.Log},
		grace:       cmp.Or(o.Grace, roamingGrace),
		log:         o.Log,
		clock:       clock.New(o.Now),
		stop:        make(chan struct{}),
		credentials: map[vpn.CredentialID]*credential{},
		retired:     map[vpn.CredentialID]*credential{},
		users:       map[vpn.UserID]*user{},
		begun:       map[*user]bool{},
	}
	m.ticker.Go(m.run)
	return m
}

// Close cuts every flow and refuses new ones. The counters can be read
// afterwards; they are final once the engine has closed its flows.
func (m *Meter) Close() {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	close(m.stop)
	var cut []*Flow
	for _, u := range m.users {
		cut = u.severAll(cut, errStopped)
	}
	m.mu.Unlock()
	m.ticker.Wait()
	m.hangUp(cut)
}

// Open begins a flow of a credential from a source address. It returns an
// error of kind [vpn.Denied] when the credential is not known, blocked or not
// valid now, or its user has reached a limit.
//
// When the flow must end, cut is called with the reason, at most once; it
// must make the engine end the connection, and must neither block nor panic.
// It may be called before Open returns, and while or after the flow is
// closed. It may be nil for a flow that is nothing but the datagrams that
// pass Take.
func (m *Meter) Open(id vpn.CredentialID, source netip.AddrPort, network string, cut func(error)) (*Flow, error) {
	f, name, err := open(m, id, source, network, cut)
	if name != "" {
		m.log.Debug("user refused", slog.String("user", name), slog.Any("source", source), slog.Any("err", err))
	}
	return f, err
}

// open is Open, and returns the name of a user who is refused, if somebody is.
func open(m *Meter, id vpn.CredentialID, source netip.AddrPort, network string, cut func(error)) (*Flow, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, "", errStopped
	}
	c := m.credentials[id]
	if c == nil || c.removed {
		return nil, "", errUnknown
	}
	now := m.clock.Now()
	if err := c.standing(now); err != nil {
		return nil, c.user.name, err
	}
	f := &Flow{
		meter:      m,
		user:       c.user,
		credential: c,
		id:         m.lastFlow + 1,
		source:     source,
		network:    network,
		since:      now.UTC(),
		cut:        cut,
		done:       make(chan struct{}),
	}
	m.rouse(c.user)
	gone, err := c.user.admit(f)
	if err != nil {
		return nil, c.user.name, err
	}
	f.hangUp(gone)
	m.lastFlow++
	m.begin(c.user, now)
	m.expireBy(c.ends())
	return f, "", nil
}

// Kick ends the live flows of a user and returns how many there were. The
// user may come back at once.
func (m *Meter) Kick(id vpn.UserID) int {
	m.mu.Lock()
	var cut []*Flow
	if u := m.users[id]; u != nil {
		cut = u.severAll(nil, errKicked)
	}
	m.mu.Unlock()
	m.hangUp(cut)
	return len(cut)
}

// Conns returns how many flows are live.
func (m *Meter) Conns() int { return int(m.conns.Load()) }

// run enforces what comes with time.
func (m *Meter) run() {
	t := time.NewTicker(tick)
	defer t.Stop()
	started := time.Now()
	for {
		select {
		case <-m.stop:
			return
		case <-t.C:
			m.activity.Store(int64(time.Since(started)))
			if cut := m.expire(); len(cut) > 0 {
				go m.hangUp(cut) // an engine that is slow must not hold up the next tick
			}
		}
	}
}

// expireBy makes expire look again at t. The caller holds m.mu.
func (m *Meter) expireBy(t time.Time) {
	if !t.IsZero() && (m.nextExpiry.IsZero() || t.Before(m.nextExpiry)) {
		m.nextExpiry = t
	}
}

// expire severs the flows whose credentials are no longer valid.
func (m *Meter) expire() []*Flow {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	if m.nextExpiry.IsZero() || now.Before(m.nextExpiry) {
		return nil
	}
	m.nextExpiry = time.Time{}
	var cut []*Flow
	for _, c := range m.credentials {
		cut = m.judge(cut, c, now)
	}
	return cut
}

// judge severs the live flows of a credential that may not be used now. The
// caller holds m.mu.
func (m *Meter) judge(cut []*Flow, c *credential, now time.Time) []*Flow {
	u := c.user
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.live == 0 {
		return cut
	}
	if err := c.standing(now); err != nil {
		return u.sever(cut, err, func(f *Flow) bool { return f.credential == c })
	}
	m.expireBy(c.ends())
	return cut
}

// hangUp tells the engine to end flows that were severed. No lock is held.
func (m *Meter) hangUp(cut []*Flow) {
	for _, f := range cut {
		m.log.Debug("flow cut", slog.Uint64("flow", f.id), slog.String("credential", string(f.credential.id)), slog.Any("reason", f.err))
		if f.cut != nil {
			f.cut(f.err)
		}
	}
}
