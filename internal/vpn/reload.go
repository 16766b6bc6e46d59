package vpn

// Reload is what became of a request to read the configuration again.
type Reload struct {
	Changed []string `json:"changed"` // the keys that have another value now
	DryRun  bool     `json:"dry_run,omitempty"`
}

// Upgrade is the answer of a daemon that is about to go over to the program
// that is installed now. The next answer is the new one's.
type Upgrade struct {
	From string `json:"from"` // versions
	To   string `json:"to"`

	DryRun bool `json:"dry_run,omitempty"` // nothing was changed: the program was looked at
}
