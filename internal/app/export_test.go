package app

// For tests: the turn of one user's period.
var Turn = turn
