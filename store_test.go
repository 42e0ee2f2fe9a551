package main

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// --- containers --------------------------------------------------------------

// A dict must do what a map does, whatever was done to it before. It grows and
// shrinks over the sizes at which it changes its ways.
func TestDict(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var d dict[int]
	model := make(map[string]int)
	for round, most := range []int{3 * fewKeys, 3 * pageSize, 5, 0, 2 * pageSize, 0} {
		for step := 0; len(model) != most && step < 40*pageSize; step++ {
			key, v := strconv.Itoa(dice.IntN(4*pageSize)), dice.Int()
			_, there := model[key]
			if grows := len(model) < most; dice.IntN(4) > 0 == grows {
				if d.put(key, v) == there {
					t.Fatalf("put(%s) was wrong about whether it is new", key)
				}
				model[key] = v
			} else {
				if len(model) > 0 && !there {
					key = d.random().key
				}
				want, there := model[key]
				if got, ok := d.remove(key); ok != there || got != want {
					t.Fatalf("remove(%s): %d, %v, want %d, %v", key, got, ok, want, there)
				}
				delete(model, key)
			}
			if got := d.get(key); d.has(key) != (got != nil) || got != nil && *got != model[key] {
				t.Fatalf("get(%s) was wrong", key)
			}
		}
		got := make(map[string]int)
		for key, v := range d.all() {
			got[key] = *v
		}
		if d.len() != len(model) || !maps.Equal(got, model) {
			t.Fatalf("round %d: %d entries, want %d", round, len(got), len(model))
		}
		for key, want := range model {
			if got := d.get(key); got == nil || *got != want {
				t.Fatalf("round %d: %s is lost", round, key)
			}
		}
	}
}

// random must find every entry, and about equally often.
func TestDictRandom(t *testing.T) {
	const keys, draws = 50, 50_000
	var d dict[int]
	for i := range keys {
		d.put(strconv.Itoa(i), i)
	}
	var drawn [keys]int
	for range draws {
		drawn[d.random().value]++
	}
	for i, n := range drawn {
		if n < draws/keys/2 || n > draws/keys*2 {
			t.Errorf("%d was drawn %d times of %d", i, n, draws)
		}
	}
}

// The guarantee of SCAN: what is there from its beginning to its end is visited,
// whatever else comes and goes meanwhile.
func TestDictScan(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	for _, staying := range []int{0, 1, 10, 100, 2000} {
		var d dict[bool]
		var others []string
		for i := range 2 * staying {
			d.put("other"+strconv.Itoa(i), false)
			others = append(others, "other"+strconv.Itoa(i))
			if i < staying {
				d.put("stays"+strconv.Itoa(i), true)
			}
		}
		seen := make(map[string]bool)
		for cursor, steps := uint64(0), 0; steps == 0 || cursor != 0; steps++ {
			if steps > 10*staying+10 {
				t.Fatal("the scan does not end")
			}
			cursor = d.scan(cursor, 1+dice.IntN(20), func(key string, stays *bool) {
				if *stays {
					seen[key] = true
				}
			})
			for range dice.IntN(20) {
				if i := dice.IntN(len(others) + 1); i < len(others) && dice.IntN(2) == 0 {
					d.remove(others[i])
				} else {
					others = append(others, "more"+strconv.Itoa(len(others)))
					d.put(others[len(others)-1], false)
				}
			}
		}
		if len(seen) != staying {
			t.Errorf("%d of %d were seen", len(seen), staying)
		}
	}
}

// A cursor that nobody gave out must do no harm.
func TestDictScanForeignCursor(t *testing.T) {
	var d dict[int]
	for i := range 20 {
		d.put(strconv.Itoa(i), i)
	}
	n := 0
	if next := d.scan(math.MaxUint64, 100, func(string, *int) { n++ }); next != 0 || n != 20 {
		t.Errorf("visited %d, then %d", n, next)
	}
}

// A deque must do what a slice does.
func TestDeque(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 6))
	var q deque
	var model []string
	for step := range 30_000 {
		s := strconv.Itoa(dice.IntN(5))
		n := len(model)
		grows := step/3000%2 == 0
		switch kind := dice.IntN(20); {
		case kind < 8 && grows || kind < 2:
			q.push(front, s)
			model = slices.Insert(model, 0, s)
		case kind < 14 && grows || kind < 4:
			q.push(back, s)
			model = append(model, s)
		case kind < 16 && n > 0:
			where, i := front, 0
			if dice.IntN(2) == 0 {
				where, i = back, n-1
			}
			if got := q.pop(where); got != model[i] {
				t.Fatalf("popped %s, want %s", got, model[i])
			}
			model = slices.Delete(model, i, i+1)
		case kind == 16:
			i := dice.IntN(n + 1)
			q.insert(i, s)
			model = slices.Insert(model, i, s)
		case kind == 17 && n > 0:
			i := dice.IntN(n)
			*q.at(i), model[i] = s, s
		case kind == 18 && dice.IntN(20) == 0:
			i := dice.IntN(n + 1)
			j := i + dice.IntN(n+1-i)
			q.keep(i, j)
			model = slices.Clone(model[i:j])
		case kind == 19 && dice.IntN(20) == 0:
			from, most := end(dice.IntN(2)), dice.IntN(n+1)
			removed := 0
			drop := func(e string) bool {
				if e != s || removed == most {
					return false
				}
				removed++
				return true
			}
			if from == back {
				slices.Reverse(model)
			}
			model = slices.DeleteFunc(model, drop)
			if from == back {
				slices.Reverse(model)
			}
			if got := q.drop(s, from, most); got != removed {
				t.Fatalf("dropped %d, want %d", got, removed)
			}
		}
		if q.len() != len(model) {
			t.Fatalf("%d elements, want %d", q.len(), len(model))
		}
		if step%100 > 0 {
			continue
		}
		var forth, copied []string
		for i, e := range q.all(front) {
			if forth = append(forth, e); *q.at(i) != e {
				t.Fatal("at and all disagree")
			}
		}
		var backwards []string
		for _, e := range q.all(back) {
			backwards = append(backwards, e)
		}
		slices.Reverse(backwards)
		for _, e := range q.clone().(*deque).all(front) {
			copied = append(copied, e)
		}
		if !slices.Equal(forth, model) || !slices.Equal(backwards, model) || !slices.Equal(copied, model) {
			t.Fatalf("got %q\nwant %q", forth, model)
		}
	}
}

// A copy shares nothing that can change, and a deque gives memory back.
func TestDequeCloneAndShrink(t *testing.T) {
	var q deque
	for range 10_000 {
		q.push(back, "x")
	}
	copied := q.clone().(*deque)
	q.keep(0, 2)
	*q.at(0) = "y"
	if copied.len() != 10_000 || *copied.at(0) != "x" {
		t.Error("the copy changed with the original")
	}
	if len(q.ring) > 100 {
		t.Errorf("2 elements in a ring of %d", len(q.ring))
	}
}

// --- algorithms --------------------------------------------------------------

// slowMatch is match without any cleverness.
func slowMatch(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return slowMatch(pattern[1:], s) || s != "" && slowMatch(pattern, s[1:])
	}
	if s == "" {
		return false
	}
	size, ok := matchOne(pattern, s[0])
	return ok && slowMatch(pattern[size:], s[1:])
}

func TestMatchStars(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 8))
	word := func(letters string, most int) string {
		b := make([]byte, dice.IntN(most+1))
		for i := range b {
			b[i] = letters[dice.IntN(len(letters))]
		}
		return string(b)
	}
	for range 50_000 {
		pattern, s := word("ab**?[]^-\\", 8), word("ab-", 8)
		if got, want := match(pattern, s), slowMatch(pattern, s); got != want {
			t.Fatalf("match(%q, %q) is %v", pattern, s, got)
		}
	}
}

// What one piece of a pattern matches, as Redis has it.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string // words
	}{
		{"a", "a", "b A aa"},
		{"?", "a * ?", "aa"},
		{"[abc]", "a b c", "d ]"},
		{"[^abc]", "d ^", "a b c"},
		{"[a-c]x", "ax bx cx", "dx -x"},
		{"[c-a]", "a b c", "d"},
		{"[a\\-c]", "a - c", "b \\"},
		{"[a-]", "a ] _", "b -"}, // a range, without its ] at the end
		{"[]a]", "", "a ]"},
		{"[ab", "a b", "["},
		{"\\*", "*", "a \\*"},
		{"\\[a]", "[a]", "a"},
		{"a\\", "a\\", "a"},
		{"h[^e]llo", "hallo hbllo", "hello hllo"},
		{"*.txt", ".txt a.txt", "txt a.txt.b"},
		{"**a**", "a ba ab", "b"},
	} {
		for _, s := range strings.Fields(c.yes) {
			if !match(c.pattern, s) {
				t.Errorf("%q does not match %q", c.pattern, s)
			}
		}
		for _, s := range strings.Fields(c.no) {
			if match(c.pattern, s) {
				t.Errorf("%q matches %q", c.pattern, s)
			}
		}
	}
}

// A pattern that would take a backtracking matcher longer than the world exists.
func TestMatchIsFast(t *testing.T) {
	if match(strings.Repeat("a*", 1000)+"b", strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
}

func TestSpan(t *testing.T) {
	edges := []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64}
	for n := range 6 {
		tries := edges
		for i := int64(-8); i <= 8; i++ {
			tries = append(tries, i)
		}
		for _, start := range tries {
			for _, stop := range tries {
				var want, got []int
				for i := range n {
					behind := start < 0 && int64(i-n) >= start || start >= 0 && int64(i) >= start
					before := stop < 0 && int64(i-n) <= stop || stop >= 0 && int64(i) <= stop
					if behind && before {
						want = append(want, i)
					}
				}
				i, j := span(start, stop, n)
				for ; i < j; i++ {
					got = append(got, i)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%d to %d of %d: %v, want %v", start, stop, n, got, want)
				}
			}
		}
	}
}

func TestLongestCommonSubsequence(t *testing.T) {
	var slow func(a, b string) int
	slow = func(a, b string) int {
		if a == "" || b == "" {
			return 0
		}
		if a[0] == b[0] {
			return 1 + slow(a[1:], b[1:])
		}
		return max(slow(a[1:], b), slow(a, b[1:]))
	}
	dice := rand.New(rand.NewPCG(9, 10))
	word := func() string {
		b := make([]byte, dice.IntN(9))
		for i := range b {
			b[i] = "abc"[dice.IntN(3)]
		}
		return string(b)
	}
	for range 2000 {
		a, b := word(), word()
		common, runs := longestCommonSubsequence(a, b)
		var joined string
		lastA, lastB := len(a), len(b) // runs come from the last to the first
		for _, r := range runs {
			if r.size < 1 || r.a+r.size > lastA || r.b+r.size > lastB || a[r.a:][:r.size] != b[r.b:][:r.size] {
				t.Fatalf("%q, %q: bad run %v", a, b, r)
			}
			joined, lastA, lastB = a[r.a:][:r.size]+joined, r.a, r.b
		}
		if joined != common || len(common) != slow(a, b) {
			t.Fatalf("%q, %q: %q, in runs %q, and it should be %d long", a, b, common, joined, slow(a, b))
		}
	}
}

// --- expiry ------------------------------------------------------------------

// testStore has n keys that live for so many seconds: key i for i+1.
func testStore(n int) *store {
	s := newStore()
	for i := range n {
		key := strconv.Itoa(i)
		s.dbs[0].set(key, "v", nil, 0)
		s.dbs[0].expires.put(key, s.clock.millis()+int64(i+1)*1000)
	}
	return s
}

func TestSampler(t *testing.T) {
	const n = 1000
	s := testStore(n)
	d := s.dbs[0]
	d.set("for ever", "v", nil, 0)
	s.sample()
	if d.keys.len() != n+1 || s.expired.Load() != 0 {
		t.Fatal("the sampler removed what was alive")
	}
	if d.ttl < 1000 || d.ttl > n*1000 {
		t.Errorf("average time to live: %d", d.ttl)
	}
	s.clock.ahead.Store((n / 2) * 1e6) // microseconds
	for range 100 {
		s.sample()
	}
	if left := d.expires.len(); left < n/2-1 || left > n/2+n/10 {
		t.Errorf("%d keys with a deadline are left", left)
	}
	s.clock.ahead.Store(2 * n * 1e6)
	for range 10 {
		s.sample()
	}
	if d.expires.len() != 0 || d.keys.len() != 1 || !d.keys.has("for ever") || s.expired.Load() != n {
		t.Errorf("%d keys, %d deadlines, %d expired", d.keys.len(), d.expires.len(), s.expired.Load())
	}
}

// A reader treats a dead key as absent and leaves it there.
func TestReadersSeeNoDeadKeys(t *testing.T) {
	s := testStore(1)
	d, now := s.dbs[0], s.clock.millis()
	if d.find("0", now) == nil || d.dead("0", now) {
		t.Error("dead too early")
	}
	if d.find("0", now+2000) != nil || !d.dead("0", now+2000) {
		t.Error("alive too long")
	}
	if !d.keys.has("0") {
		t.Error("a reader removed a key")
	}
}

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
