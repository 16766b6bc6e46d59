//go:build linux

package rig

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A BareServer is xray as people run it without a product: the yardstick for
// speed, and the proof that a failing test is not the rig's fault.
type BareServer struct {
	*Process
	Links []Link
}

// Bare starts a bare server with that many users on a port of the server host.
func (w *World) Bare(t testing.TB, port, users int) *BareServer {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := base64.RawURLEncoding
	const shortID = "0123456789abcdef"
	s := &BareServer{}
	var accounts []object
	for i := range users {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012x", i)
		accounts = append(accounts, object{"id": id, "flow": "xtls-rprx-vision"})
		s.Links = append(s.Links, Link{
			Scheme: "vless", UUID: id, Host: ServerAddr, Port: port, ServerName: SiteName, ShortID: shortID,
			PublicKey:   raw.EncodeToString(key.PublicKey().Bytes()),
			Fingerprint: "chrome", Flow: "xtls-rprx-vision", SpiderX: "/",
		})
	}
	s.start(t, w, port, object{
		"protocol": "vless",
		"settings": object{"clients": accounts, "decryption": "none"},
		"streamSettings": object{
			"network": "tcp", "security": "reality",
			"realitySettings": object{
				"dest": w.Site.Addr, "serverNames": []string{SiteName},
				"minClientVer": "1.8.0", // what sing-box says of itself
				"privateKey":   raw.EncodeToString(key.Bytes()), "shortIds": []string{shortID},
			},
		},
	})
	return s
}

// BareShadowsocks2022 starts one for Shadowsocks 2022.
func (w *World) BareShadowsocks2022(t testing.TB, port int, method string, users int) *BareServer {
	t.Helper()
	psk := func() string {
		b := make([]byte, map[string]int{"2022-blake3-aes-128-gcm": 16, "2022-blake3-aes-256-gcm": 32}[method])
		_, _ = rand.Read(b) // never fails
		return base64.StdEncoding.EncodeToString(b)
	}
	server := psk()
	s := &BareServer{}
	var accounts []object
	for i := range users {
		user := psk()
		accounts = append(accounts, object{"email": fmt.Sprint("u", i), "password": user})
		s.Links = append(s.Links, Link{Scheme: "ss", Method: method, Password: server + ":" + user, Host: ServerAddr, Port: port})
	}
	s.start(t, w, port, object{
		"protocol": "shadowsocks",
		"settings": object{"method": method, "password": server, "clients": accounts, "network": "tcp,udp"},
	})
	return s
}

// start starts xray with one inbound.
func (s *BareServer) start(t testing.TB, w *World, port int, inbound object) {
	t.Helper()
	inbound["listen"], inbound["port"] = "0.0.0.0", port
	text, err := json.Marshal(object{
		"log":      object{"loglevel": "warning"},
		"inbounds": []object{inbound},
		// The rig's internet is no public one by xray's lights.
		"outbounds": []object{{"protocol": "freedom", "settings": object{"finalRules": []object{{"action": "allow"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Process = w.Server.Spawn(t, nil, CacheFile(t, "bin/xray"), "run", "-c", path)
	w.WaitForPort(t, port)
}

// WaitForPort waits until the server host accepts connections on port.
func (w *World) WaitForPort(t testing.TB, port int) {
	t.Helper()
	Until(t, 20*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := w.Client.Dial(ctx, "tcp", net.JoinHostPort(ServerAddr, strconv.Itoa(port)))
		if err == nil {
			c.Close()
		}
		return err
	})
}
