package app_test

import (
	"fmt"
	"testing"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// BenchmarkCreate is one user's way through the use case, the store and the
// worker's patch, beside 10,000 others who all have quotas.
func BenchmarkCreate(b *testing.B) {
	x := newBench(b)
	x.supervise()
	id := x.server("main")
	err := x.store.Update(x.ctx, func(tx app.Tx) error {
		for i := range 10_000 {
			u := vpn.User{ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprint("u", i), Enabled: true, Limits: vpn.Limits{Quota: 1e9}}
			if err := tx.Users.Put(u); err != nil {
				return err
			}
			c := vpn.Credential{ID: vpn.CredentialID(vpn.NewID()), User: u.ID, Server: id, Secret: vpn.NewSecret(vpn.NewID())}
			if err := tx.Credentials.Put(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	x.user("first", vpn.Limits{})
	for i := 0; b.Loop(); i++ {
		x.user(fmt.Sprint("new", i), vpn.Limits{Quota: 1e9})
	}
}

// BenchmarkWatching is what a terminal UI on its dashboard asks each second, of
// 10,000 users.
func BenchmarkWatching(b *testing.B) {
	x := newBench(b)
	x.supervise()
	x.server("main")
	err := x.store.Update(x.ctx, func(tx app.Tx) error {
		for i := range 10_000 {
			u := vpn.User{ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprint("u", i), Enabled: true, Limits: vpn.Limits{Quota: 1e9}}
			if err := tx.Users.Put(u); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := x.app.System.Status(x.ctx); err != nil {
			b.Fatal(err)
		}
		if _, err := x.app.Usage.Rates(x.ctx, vpn.RatesQuery{By: vpn.ByUser}); err != nil {
			b.Fatal(err)
		}
	}
}
