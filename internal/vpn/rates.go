package vpn

import "time"

// RatesSpan is how far back speeds are known second by second.
const RatesSpan = 150 * time.Second

// A RatesQuery asks how fast things were moved in the last minutes.
type RatesQuery struct {
	Since  time.Time // later samples only; zero: all that are kept
	By     HistoryBy // whose speed is told apart
	User   string    // only this user's, by name or ID
	Server string    // only over this server, by name or ID; not together with a user
}

// Rates are the speeds of the last minutes, a sample a second, so that a
// chart is full when it is opened. They are kept while the daemon runs, and
// are forgotten with it.
//
// Of a user there is a sample for each second in which one moved something:
// where there is none, it was nothing. A second has at most the 1,000 fastest.
type Rates struct {
	Since  time.Time   `json:"since" doc:"what is known begins here"`
	Until  time.Time   `json:"until" doc:"of the last sample; ask for later ones with since"`
	By     HistoryBy   `json:"by,omitempty"`
	Points []RatePoint `json:"points"`
}

// A RatePoint is one second's sample.
type RatePoint struct {
	At time.Time `json:"at"`
	Of string    `json:"of,omitempty"` // the name of the user, the server or the protocol
	Rate
	Online int `json:"online"` // connections at that time
}
