package main

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// How to read this file: first the containers, each held against a model that is
// too simple to be wrong; then expiry, on a clock that the tests move; then the
// table of commands; then the conversations in testdata, which are most of what
// the tests know; and at the end what is on disk.

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// testServer starts a server on a free port that is gone after the test.
func testServer(t *testing.T, values ...string) *server {
	t.Helper()
	s := newServer()
	config := map[string]string{"port": "0", "save": "", "dir": t.TempDir()}
	for i := 0; i < len(values); i += 2 {
		config[values[i]] = values[i+1]
	}
	s.config.set(config)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.shutdown(false) })
	return s
}

func (s *server) addr() string { return s.listener.Addr().String() }

// pass moves the clock.
func (s *server) pass(d time.Duration) { s.store.clock.ahead.Add(d.Microseconds()) }

// --- conversations -----------------------------------------------------------

var realAddr = flag.String("addr", "", "hold the conversations with this server, which loses all its keys")

func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			addr, advance := *realAddr, time.Sleep
			if addr == "" {
				s := testServer(t)
				addr, advance = s.addr(), s.pass
			}
			bad, err := play(addr, f, advance)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range bad {
				t.Errorf("%s, %v", name, m)
			}
		})
	}
}
