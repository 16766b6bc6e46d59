package vpn

import "time"

// A HistoryQuery asks what was moved from Since until Until, in steps.
type HistoryQuery struct {
	Since  time.Time
	Until  time.Time     // not included
	Step   time.Duration // of whole five minutes; below that, of seconds of the last [RatesSpan]; 0: all of it together
	By     HistoryBy
	User   string // only this user's, by name or ID
	Server string // only over this server, by name or ID
}

// HistoryBy says whose traffic is told apart.
type HistoryBy string

// What traffic can be told apart by.
const (
	ByNothing  HistoryBy = ""
	ByUser     HistoryBy = "user"
	ByServer   HistoryBy = "server"
	ByProtocol HistoryBy = "protocol"
)

// History is traffic over time. The points of one time add up to all that was
// counted from then until the next step.
//
// It is kept in steps of five minutes for two days, of an hour for sixty days,
// and of a day for three years; times are UTC. What is asked for in smaller
// steps than those that are left comes at the beginning of these. Steps below
// five minutes are reckoned from [Rates], which the daemon keeps; of these it
// is not told how many connections there were.
type History struct {
	Since   time.Time      `json:"since"`
	Until   time.Time      `json:"until"`
	Step    int64          `json:"step" doc:"seconds; 0: all of it together"`
	By      HistoryBy      `json:"by,omitempty"`
	Points  []HistoryPoint `json:"points"`
	Watched []WatchedStep  `json:"watched" doc:"the steps in which a daemon ran and counted connections; where there is no point in one of them, there was no connection"`
	Total   Traffic        `json:"total"`
}

// A HistoryPoint is what was moved in one step.
type HistoryPoint struct {
	At time.Time `json:"at"`           // when the step begins
	Of string    `json:"of,omitempty"` // the name of the user, the server or the protocol
	Traffic
	Online float64 `json:"online" doc:"connections, on average over the time that was watched; 0 as well if none of it was"`
}

// A WatchedStep is for how long somebody counted the connections of a step.
type WatchedStep struct {
	At      time.Time `json:"at"` // when the step begins
	Seconds int64     `json:"seconds"`
}

// SessionFilter selects live sessions; its zero value selects all.
type SessionFilter struct {
	User   string // by name or ID
	Server string
}
