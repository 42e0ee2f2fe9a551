package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
func testServer(t testing.TB, values ...string) *server {
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
	t.Cleanup(func() {
		s.shutdown(false)
		for s.saver.busy.Load() {
			time.Sleep(time.Millisecond)
		}
	})
	return s
}

func (s *server) addr() string { return s.listener.Addr().String() }

// pass moves the clock.
func (s *server) pass(d time.Duration) { s.store.clock.ahead.Add(d.Microseconds()) }

// --- the table of commands ---------------------------------------------------

// Commands of the table that Redis 7.0.15 has not, or not like that.
var additions = []string{
	"client|setinfo", // of 7.2: client libraries send it at once
	"cluster",        // which only says that this is none
}

func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, g := range table {
		last := ""
		for _, row := range g.rows {
			names, _ := parseUsage(row.usage)
			name := strings.Join(names, " ")
			if seen[name] {
				t.Errorf("%s stands there twice", name)
			}
			if name < last {
				t.Errorf("%s stands behind %s", name, last)
			}
			if !strings.HasSuffix(row.summary, ".") {
				t.Errorf("the summary of %s is no sentence", name)
			}
			seen[name], last = true, name
		}
	}
}

// What clients read in COMMAND INFO must be what Redis tells them.
func TestTableLikeRedis(t *testing.T) {
	official, err := os.ReadFile("testdata/commands.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(string(official)) {
		name, _, _ := strings.Cut(line, "\t")
		lines[name] = strings.TrimSpace(line)
	}
	for _, c := range allCommands() {
		flags := c.flagList()
		slices.Sort(flags)
		got := fmt.Sprintf("%s\t%d\t%s\t%d\t%d\t%d",
			c.name, c.arity, strings.Join(flags, ","), c.keys.first, c.keys.last, c.keys.step)
		switch want := lines[c.name]; {
		case slices.Contains(additions, c.name):
		case want == "":
			t.Errorf("Redis has no %s", c.name)
		case got != want:
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEveryCommandHasAConversation(t *testing.T) {
	held := make(map[*command]bool)
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			m := exchange.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil || m[2] != ">" {
				continue
			}
			if words, _ := splitWords(m[3]); len(words) > 0 {
				c, _ := lookup(words)
				held[c] = true
			}
		}
	}
	for _, c := range allCommands() {
		if !held[c] && c.run != nil {
			t.Errorf("no conversation has %s", c.name)
		}
	}
}

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
