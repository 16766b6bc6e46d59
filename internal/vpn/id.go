package vpn

import (
	"crypto/rand"
	"strings"
)

// UserID, ServerID and CredentialID are distinct types, so that the compiler
// rejects a call that passes one for another. All are made by [NewID].
type (
	UserID       string
	ServerID     string
	CredentialID string
)

// NewID returns 16 random characters of a-z and 2-7 (80 bits). They are safe
// in file names, in URLs and where letter case is not kept.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }
