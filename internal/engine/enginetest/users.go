package enginetest

import (
	"net"
	"testing"
	"time"
)

func usersComeAndGo(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	alive := func(when string) {
		t.Helper()
		if err := ping(conn); err != nil {
			t.Fatalf("%s, the other's connection broke: %v", when, err)
		}
	}
	alive("at first")
	b.spec.Grants = append(b.spec.Grants, b.newUser("newcomer"))
	b.apply()
	alive("after a user was added")
	if err := ping(b.dial(2, "tcp", d.addr)); err != nil {
		t.Errorf("the new user is not let in: %v", err)
	}
	b.spec.Grants[2].Connections, b.spec.Grants[2].RateDown = 5, mib
	b.apply()
	alive("after a user's limits were changed")
	b.spec.Grants = b.spec.Grants[:2]
	b.apply()
	alive("after a user was removed")
	b.spec.Grants[0].Connections = 3
	b.apply()
	alive("after its own limits were changed")
}

// cutIn checks that conn, which lives, ends within a second of change, and
// that the user is not let in again.
func (b *bench) cutIn(conn net.Conn, d *destination, c Client, change func()) {
	b.Helper()
	if err := ping(conn); err != nil {
		b.Fatal(err)
	}
	change()
	if !b.ends(conn, promptly) {
		b.Errorf("connection still open after %v", promptly)
	}
	b.turnedAway(c, b.dialAs(c, "tcp", d.addr))
	b.severed()
}

func removedUser(t *testing.T, h Harness) {
	for name, d := range map[string]*destination{"plain": listenTCP(t, h.host4()), "inner TLS": listenTLS(t, h.host4())} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, h, 2)
			conn, other := b.dial(0, "tcp", d.addr), b.dial(1, "tcp", d.addr)
			if name != "plain" {
				conn, other = secured(t, conn), secured(t, other)
			}
			if err := ping(other); err != nil {
				t.Fatal(err)
			}
			c, removed := b.client(0), b.spec.Grants[0]
			// The cut has to hold in the middle of a transfer.
			if err := ping(conn); err != nil {
				t.Fatal(err)
			}
			if err := ask(conn, opDownload, 1<<40, 50*mib); err != nil {
				t.Fatal(err)
			}
			b.spec.Grants = b.spec.Grants[1:]
			b.apply()
			if !b.ends(conn, promptly) {
				t.Errorf("connection still open after %v", promptly)
			}
			b.turnedAway(c, b.dialAs(c, "tcp", d.addr))
			if err := ping(other); err != nil {
				t.Errorf("the other user's connection broke: %v", err)
			}
			// And it may be undone.
			b.spec.Grants = append(b.spec.Grants, removed)
			b.apply()
			if err := b.letIn(c, d.addr, name != "plain"); err != nil {
				t.Errorf("the user who was added again is not let in: %v", err)
			}
		})
	}
}

// chatter sends something now and then until it is stopped.
func chatter(conn net.Conn) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := conn.Write([]byte{opPing}); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func rotatedSecret(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	b.cutIn(conn, d, b.client(0), func() {
		defer chatter(conn)() // in a tunnel the old keys hear of it now, or never
		b.spec.Grants[0].Secret = h.Secret()
		b.apply()
	})
	if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
		t.Errorf("the new secret does not work: %v", err)
	}
}

func blockedUser(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	b.cutIn(b.dial(0, "tcp", d.addr), d, b.client(0), func() {
		b.spec.Grants[0].Blocked = true
		b.apply()
	})
	b.spec.Grants[0].Blocked = false
	b.apply()
	if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
		t.Errorf("the user is not let in again: %v", err)
	}
}

func expiredCredential(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	b.cutIn(conn, d, b.client(0), func() {
		b.spec.Grants[0].NotAfter = time.Now().Add(200 * time.Millisecond)
		b.apply()
		if err := ping(conn); err != nil {
			t.Errorf("cut before its time: %v", err)
		}
	})
}

func kickedUser(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	d := listenTCP(t, h.host4())
	conn, other := b.dial(0, "tcp", d.addr), b.dial(1, "tcp", d.addr)
	for _, c := range []net.Conn{conn, other} {
		if err := ping(c); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.meter.Kick(b.spec.Grants[0].User); n != 1 {
		t.Errorf("%d flows kicked", n)
	}
	// Who is kicked may come back at once, and a device's next packet does; his
	// connections do not.
	if !b.ends(conn, promptly) {
		t.Errorf("connection still open after %v", promptly)
	}
	if !eventually(promptly, func() bool { return d.open.Load() == 1 }) {
		t.Errorf("the destination has %d connections, the other user's and which?", d.open.Load())
	}
	if err := ping(other); err != nil {
		t.Errorf("the other user's connection broke: %v", err)
	}
	if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
		t.Errorf("the user is not let in again: %v", err)
	}
	if err := ping(other); err != nil {
		t.Errorf("the other user's connection broke: %v", err)
	}
}

// silentConnections is about those that nothing comes by, either way: their
// ends are heard of without anybody sending.
func silentConnections(t *testing.T, h Harness) {
	d := listenTCP(t, h.host4())
	for name, cut := range map[string]func(*bench){
		"blocked": func(b *bench) {
			b.spec.Grants[0].Blocked = true
			b.apply()
		},
		"kicked": func(b *bench) { b.meter.Kick(b.spec.Grants[0].User) },
		"removed": func(b *bench) {
			b.spec.Grants = b.spec.Grants[1:]
			b.apply()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, h, 2)
			other := b.dial(1, "tcp", d.addr)
			conns := make([]net.Conn, 20)
			for i := range conns {
				conns[i] = b.dial(0, "tcp", d.addr)
			}
			for _, conn := range append(conns, other) {
				if err := ping(conn); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			cut(b)
			for i, conn := range conns {
				if _, ended := drain(conn, patience); !ended {
					t.Fatalf("connection %d is not told that it has ended", i)
				}
			}
			if took := time.Since(start); took > promptly && !Raced {
				t.Errorf("connections are told that they have ended after %v", took)
			}
			if err := ping(other); err != nil {
				t.Errorf("the other user's connection broke: %v", err)
			}
		})
	}
}
