package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
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
	values = append([]string{"port", "0", "save", "", "dir", t.TempDir()}, values...)
	for pair := range slices.Chunk(values, 2) {
		s.config.set(pair[0], pair[1])
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.shutdown(false)
		<-s.done
		s.saver.busy.Lock() // when a save has ended
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
					key = d.random()
				}
				if _, there := model[key]; d.remove(key) != there {
					t.Fatalf("remove(%s) was wrong about whether it was there", key)
				}
				delete(model, key)
			}
			if got := d.get(key); d.has(key) != (got != nil) || got != nil && *got != model[key] {
				t.Fatalf("get(%s) was wrong", key)
			}
		}
		got := make(map[string]int)
		for key, v := range d.all {
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
		drawn[*d.get(d.random())]++
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
		for i := range 3 * staying { // the last ones, which move into holes, are some that stay
			if i < 2*staying {
				d.put("other"+strconv.Itoa(i), false)
				others = append(others, "other"+strconv.Itoa(i))
			} else {
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
				if i := dice.IntN(len(others) + 1); i < len(others) && dice.IntN(3) > 0 {
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

func (s *chunked[E]) at(i int) *E {
	return s.get(s.place(i))
}

// A list must do what a slice does.
func TestList(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 6))
	var q list
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
			q.insert(q.place(i), s)
			model = slices.Insert(model, i, s)
		case kind == 17 && n > 0:
			i := dice.IntN(n)
			*q.at(i), model[i] = s, s
		case kind == 18 && dice.IntN(20) == 0:
			i := dice.IntN(n + 1)
			j := i + dice.IntN(n+1-i)
			q.cut(q.place(j), n-j)
			q.cut(q.place(0), i)
			model = slices.Clone(model[i:j])
		}
		if q.len() != len(model) {
			t.Fatalf("%d elements, want %d", q.len(), len(model))
		}
		if step%100 > 0 {
			continue
		}
		var forth, copied []string
		for e := range q.span(0, q.len(), false) {
			if forth = append(forth, e); *q.at(len(forth) - 1) != e {
				t.Fatal("at and span disagree")
			}
		}
		var backwards []string
		for e := range q.span(0, q.len(), true) {
			backwards = append(backwards, e)
		}
		slices.Reverse(backwards)
		for e := range q.clone().(*list).span(0, q.len(), false) {
			copied = append(copied, e)
		}
		if !slices.Equal(forth, model) || !slices.Equal(backwards, model) || !slices.Equal(copied, model) {
			t.Fatalf("got %q\nwant %q", forth, model)
		}
	}
}

// A copy shares nothing that can change, and a list gives memory back.
func TestListCloneAndShrink(t *testing.T) {
	var q list
	for range 10_000 {
		q.push(back, "x")
	}
	copied := q.clone().(*list)
	q.cut(q.place(2), 9_998)
	*q.at(0) = "y"
	if copied.len() != 10_000 || *copied.at(0) != "x" {
		t.Error("the copy changed with the original")
	}
	if len(q.chunks) > 1 {
		t.Errorf("2 elements in %d chunks", len(q.chunks))
	}
}

// picks gives different places, or as many as asked for that may repeat; each
// about equally often.
func TestDictPicks(t *testing.T) {
	const n, rounds = 40, 4000
	var d dict[int]
	for i := range n {
		d.put(strconv.Itoa(i), i)
	}
	for _, count := range []int64{0, 1, 7, n - 1, n, n + 1, math.MaxInt64, -1, -7, -3 * n} {
		var drawn [n]int
		picked := 0
		for range rounds {
			var list []int
			for _, e := range d.picks(count) {
				list = append(list, e.value)
				drawn[e.value]++
			}
			if want := int64(len(list)); want != -count && want != min(count, n) {
				t.Fatalf("%d picks of %d", want, count)
			}
			slices.Sort(list)
			if count > 0 && len(slices.Compact(list)) != len(list) {
				t.Fatalf("the same twice among %d", count)
			}
			picked += len(list)
		}
		for i, times := range drawn {
			if 2*n*times < picked || n*times > 2*picked {
				t.Errorf("%d: picked %d times of %d when %d were wanted", i, times, picked, count)
			}
		}
	}
}

// A zset must do what a sorted slice does.
func TestZset(t *testing.T) {
	dice := rand.New(rand.NewPCG(11, 12))
	var z zset
	var model []scored
	place := func(e scored) int {
		i, _ := slices.BinarySearchFunc(model, e, func(a, b scored) int {
			return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
		})
		return i
	}
	most, least := 0, math.MaxInt // chunks
	for step := range 12_000 {
		grows, n := step/3000%2 == 0, len(model)
		e := scored{float64(dice.IntN(20)), strconv.Itoa(dice.IntN(3000))}
		if !grows && n > 0 && dice.IntN(2) == 0 {
			e.member = model[dice.IntN(n)].member
		}
		old := z.scores.get(e.member)
		isMember := old != nil
		if isMember {
			i := place(scored{*old, e.member})
			model = slices.Delete(model, i, i+1)
		}
		if grows || dice.IntN(8) == 0 {
			model = slices.Insert(model, place(e), e)
			if z.add(e.member, e.score) == isMember {
				t.Fatal("add was wrong about whether it is new")
			}
		} else if z.remove(e.member) != isMember {
			t.Fatal("remove was wrong about whether it was there")
		}
		if most = max(most, len(z.order.chunks)); step > 3000 {
			least = min(least, len(z.order.chunks))
		}
		if step%50 > 0 && len(model) > 0 {
			continue
		}
		i := dice.IntN(len(model) + 1)
		j := i + dice.IntN(len(model)+1-i)
		collect := func(z *zset, i, j int, reverse bool) (list []scored) {
			for e := range z.order.span(i, j, reverse) {
				list = append(list, e)
			}
			return list
		}
		forth, part := collect(&z, 0, z.len(), false), collect(&z, i, j, true)
		copied := collect(z.clone().(*zset), 0, z.len(), false)
		slices.Reverse(part)
		if !slices.Equal(forth, model) || !slices.Equal(part, model[i:j]) || !slices.Equal(copied, model) {
			t.Fatalf("got %v\nwant %v", forth, model)
		}
		for i, e := range model {
			if *z.scores.get(e.member) != e.score || z.order.rank(e.before) != i {
				t.Fatalf("%v is not at %d", e, i)
			}
		}
		for _, chunk := range z.order.chunks {
			if len(chunk) == 0 || len(chunk) > chunkSize {
				t.Fatalf("a chunk of %d", len(chunk))
			}
		}
		if z.scores.len() != len(model) || z.len() != len(model) {
			t.Fatalf("%d scores and %d places for %d members", z.scores.len(), z.len(), len(model))
		}
	}
	if most < 5 || least > most/2 {
		t.Errorf("there were %d to %d chunks: nothing was split or merged", least, most)
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

// Set algebra must do what maps do.
func TestCombine(t *testing.T) {
	dice := rand.New(rand.NewPCG(13, 14))
	joins := []func(a, b float64) float64{func(a, b float64) float64 { return a + b }, math.Min, math.Max}
	for range 3000 {
		var operands []operand
		var models []map[string]float64 // with weighted scores
		for range 1 + dice.IntN(4) {
			o, model := operand{new(dict[float64]), 1}, make(map[string]float64)
			if dice.IntN(2) == 0 {
				o.weight = float64(dice.IntN(5) - 2)
			}
			isSet := dice.IntN(3) == 0
			for range dice.IntN(30) {
				member, score := strconv.Itoa(dice.IntN(30)), float64(dice.IntN(100))
				if isSet {
					score = 1
				}
				o.put(member, score)
				model[member] = score * o.weight
			}
			operands, models = append(operands, o), append(models, model)
		}
		op, join := []operation{union, intersection, difference}[dice.IntN(3)], dice.IntN(3)
		how := []aggregate{sum, lesser, greater}[join]
		want := maps.Clone(models[0])
		for _, model := range models[1:] {
			for m := range want {
				if _, ok := model[m]; ok == (op == difference) && op != union {
					delete(want, m)
				}
			}
			for m, score := range model {
				if old, ok := want[m]; ok {
					want[m] = joins[join](old, score)
				} else if op == union {
					want[m] = score
				}
			}
		}
		got := make(map[string]float64)
		for m, score := range op.combine(slices.Clone(operands), how, 0).all {
			got[m] = *score
		}
		if !maps.Equal(got, want) {
			t.Fatalf("operation %s of %v:\ngot  %v\nwant %v", op, models, got, want)
		}
		if limit := 1 + dice.IntN(5); op == intersection {
			some := op.combine(operands, how, limit)
			if some.len() != min(limit, len(want)) {
				t.Fatalf("%d of %d with the limit %d", some.len(), len(want), limit)
			}
			for m := range some.all {
				if _, ok := want[m]; !ok {
					t.Fatalf("%s is none of %v", m, want)
				}
			}
		}
	}
}

// Infinity minus itself, or times 0, is no number: sums make 0 of it, and the
// other two take the other score.
func TestCombineInfinities(t *testing.T) {
	inf := math.Inf(1)
	scored := func(score, weight float64) operand {
		d := new(dict[float64])
		d.put("m", score)
		return operand{d, weight}
	}
	for _, c := range []struct {
		how  aggregate
		list []operand
		want float64
	}{
		{sum, []operand{scored(inf, 1), scored(-inf, 1)}, 0},
		{sum, []operand{scored(1, 1), scored(inf, 0)}, 0},
		{lesser, []operand{scored(1, 1), scored(inf, 0)}, 1},
		{greater, []operand{scored(1, 1), scored(inf, 0)}, 1},
		{greater, []operand{scored(inf, 1), scored(-inf, 1)}, inf},
		{lesser, []operand{scored(inf, 1), scored(-inf, 1)}, -inf},
	} {
		if got := intersection.combine(c.list, c.how, 0).get("m"); got == nil || *got != c.want {
			t.Errorf("%v, want %v", got, c.want)
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
			if r.size < 1 || r.a+r.size > lastA || r.b+r.size > lastB ||
				a[r.a:][:r.size] != b[r.b:][:r.size] {
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
		s.dbs[0].put(key, item{text: "v", deadline: s.clock.millis() + int64(i+1)*1000})
	}
	return s
}

func TestSampler(t *testing.T) {
	const n = 1000
	s := testStore(n)
	d := s.dbs[0]
	d.put("for ever", item{text: "v"})
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
	if left := d.mortal.len(); left < n/2-1 || left > n/2+n/10 {
		t.Errorf("%d keys with a deadline are left", left)
	}
	s.clock.ahead.Store(2 * n * 1e6)
	for range 10 {
		s.sample()
	}
	if d.mortal.len() != 0 || d.keys.len() != 1 || !d.keys.has("for ever") || s.expired.Load() != n {
		t.Errorf("%d keys, %d deadlines, %d expired", d.keys.len(), d.mortal.len(), s.expired.Load())
	}
}

// Of keys that were used at different times the older ones go first, mostly, and only those that the policy names.
func TestEviction(t *testing.T) {
	for policy, lost := range map[string]int{"allkeys-lru": 100, "allkeys-random": 100, "volatile-lru": 50,
		"volatile-ttl": 50, "volatile-random": 50, "noeviction": 0} {
		s := testStore(50)
		d := s.dbs[0]
		for i := range 50 {
			d.put("young"+strconv.Itoa(i), item{text: "v", access: 1})
		}
		s.excess.Store(math.MaxInt32)
		if s.evict(policy) != (lost > 0) {
			t.Errorf("%s: evict was wrong about whether it did anything", policy)
		}
		old := 50 - d.mortal.n
		if ordered := strings.HasSuffix(policy, "lru"); ordered && old < evictKeys*3/4 {
			t.Errorf("%s evicted only %d old keys of %d", policy, old, evictKeys)
		}
		for s.evict(policy) {
		}
		if s.evicted.Load() != int64(lost) || d.keys.n != 100-lost {
			t.Errorf("%s evicted %d keys, want %d", policy, s.evicted.Load(), lost)
		}
		s.excess.Store(0)
		if !s.evict(policy) {
			t.Errorf("%s: commands are refused though there is memory", policy)
		}
	}
}

// A cache that is filled with far more than it may hold stays near its limit, and no write is refused.
func TestMaxMemory(t *testing.T) {
	s := testServer(t, "maxmemory-policy", "allkeys-lru")
	used := func() int64 { runtime.GC(); used, _, _, _ := memory(); return used }
	limit := used() + 8<<20
	s.config.set("maxmemory", strconv.FormatInt(limit, 10))
	c := connect(t, s)
	value := strings.Repeat("v", 10_000)
	for i := range 4000 {
		c.send(encode("SET", strconv.Itoa(i), value))
		c.gets("+OK\r\n")
		if i%100 == 0 {
			used()
			s.relieve()
		}
	}
	if got := used(); got > limit+4<<20 {
		t.Errorf("%d bytes in use where %d are allowed", got, limit)
	}
	s.store.RLock()
	defer s.store.RUnlock()
	if n := s.store.dbs[0].keys.n; n < 400 {
		t.Errorf("only %d keys are left", n)
	}
}

// No more goes than is needed, and nothing while clients are paused.
func TestEvictionStops(t *testing.T) {
	s := testStore(50)
	s.excess.Store(2 * entryBytes)
	if !s.evict("allkeys-random") || s.evicted.Load() != 2 || s.excess.Load() > 0 {
		t.Errorf("%d keys were evicted, %d bytes too many are left", s.evicted.Load(), s.excess.Load())
	}
	s.excess.Store(math.MaxInt32)
	s.frozen.Store(math.MaxInt64)
	if !s.evict("allkeys-random") || s.evicted.Load() != 2 {
		t.Errorf("a pause does not keep keys from being evicted")
	}
}

// Where nothing is evicted, clients that are refused may delete, and be taken seriously soon after.
func TestMemoryIsFreed(t *testing.T) {
	s := testServer(t)
	defer debug.SetMemoryLimit(memoryLimit)
	c := connect(t, s)
	s.store.Lock()
	s.store.dbs[0].put("large", item{text: xs(32 << 20)})
	s.store.Unlock()
	runtime.GC()
	s.config.set("maxmemory", "20000000")
	s.relieve()
	c.send(encode("SET", "a", "1") + encode("DEL", "large"))
	c.gets("-OOM command not allowed when used memory > 'maxmemory'.\r\n:1\r\n")
	waitFor(t, "bytes too many", func() int { return int(s.store.excess.Load()) }, 0)
}

// Two limits in a row evict no more than the second asks for.
func TestMaxMemoryTwice(t *testing.T) {
	s := testServer(t, "maxmemory-policy", "allkeys-random")
	defer debug.SetMemoryLimit(memoryLimit)
	s.store.Lock()
	for i := range 100 {
		s.store.dbs[0].put(strconv.Itoa(i), item{text: xs(1 << 20)})
	}
	s.store.Unlock()
	runtime.GC()
	used, _, _, _ := memory()
	for _, less := range []int64{20 << 20, 15 << 20} {
		s.config.set("maxmemory", strconv.FormatInt(used-less, 10))
		s.relieve()
	}
	if n := s.store.evicted.Load(); n < 20 || n > 30 {
		t.Errorf("%d MB were evicted where 20 and a sixteenth of the limit are asked for", n)
	}
}

// A reader treats a dead key as absent and leaves it there.
func TestReadersSeeNoDeadKeys(t *testing.T) {
	s := testStore(1)
	d, now := s.dbs[0], s.clock.millis()
	if d.find("0", now) == nil {
		t.Error("dead too early")
	}
	if d.find("0", now+2000) != nil {
		t.Error("alive too long")
	}
	if !d.keys.has("0") {
		t.Error("a reader removed a key")
	}
}

// --- commands without a network ----------------------------------------------

// newClient returns a connection to a server that need not be started.
func newClient(t testing.TB, s *server) *conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return newConn(s, ours)
}

// ask runs a command and returns its reply in the notation of conversations.
func (c *conn) ask(line string) string {
	words, _ := splitWords(line)
	c.dispatch(words)
	defer func() { c.out.buf = c.out.buf[:0] }()
	v, err := newReader(bytes.NewReader(c.out.buf)).message()
	if err != nil {
		return err.Error()
	}
	return notation(v)
}

// contents returns all that is in a store, in one order, and counts what is there.
func contents(s *store) (list []record) {
	s.snapshot(func(rec record) { list = append(list, rec) })
	slices.SortStableFunc(list, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.DB, b.DB), strings.Compare(a.Key, b.Key))
	})
	for _, d := range s.dbs {
		if d.keys.len() > 0 {
			list = append(list, record{DB: d.id, Items: []string{fmt.Sprint(d.keys.len(), d.mortal.len())}})
		}
	}
	return list
}

// Write commands that fail or have nothing to do. There are a string, a number, a
// list, a hash, a set, a zset (sorted set), a stream and nothing at keys of these names.
const idleWrites = `
	SET string x NX
	SET nothing x XX
	SET nothing x XX GET
	SET list x GET
	SET string x NX XX
	SET string x EX 0
	SET string x PX nan
	SET string x EX 10 PERSIST
	SETNX list x
	SETEX string 0 x
	SETEX nothing nan x
	PSETEX string -1 x
	GETSET list x
	GETDEL nothing
	GETDEL list
	GETEX string
	GETEX nothing EX 10
	GETEX list PERSIST
	GETEX string PERSIST
	GETEX string EX -1
	GETEX string EX 10 PX 10
	MSET string x nothing
	MSETNX nothing 1 string 2
	MSETNX nothing 1 string
	APPEND list x
	SETRANGE string 0 ""
	SETRANGE nothing 5 ""
	SETRANGE nothing -1 x
	SETRANGE string 536870912 x
	SETRANGE list 0 x
	INCR string
	INCR list
	DECR string
	INCRBY number 9223372036854775807
	INCRBY number nan
	DECRBY number -9223372036854775808
	DECRBY list 1
	INCRBYFLOAT string 1
	INCRBYFLOAT number inf
	INCRBYFLOAT number x
	INCRBYFLOAT list 1
	LPUSH string x
	RPUSH string x
	LPUSHX nothing x
	LPUSHX string x
	RPUSHX nothing x
	LPOP nothing
	LPOP nothing 3
	LPOP list 0
	LPOP list -1
	RPOP string
	RPOP list 0
	LMPOP 2 nothing none LEFT
	LMPOP 1 list LEFT COUNT 0
	LMPOP 2 nothing string LEFT
	BLPOP string 0
	BLPOP list nan
	BRPOP string 0
	BRPOP list -1
	BLMPOP 0 1 string LEFT
	BLMPOP 0 1 list LEFT COUNT 0
	BLMOVE string list LEFT LEFT 0
	BLMOVE list string LEFT LEFT 0
	BRPOPLPUSH string list 0
	BRPOPLPUSH list string 0
	BZPOPMIN string 0
	BZPOPMAX list 0
	BZMPOP 0 1 string MIN
	BZMPOP 0 1 zset MIN COUNT 0
	LMOVE nothing list LEFT LEFT
	LMOVE list string LEFT LEFT
	LMOVE list none LEFT DOWN
	RPOPLPUSH nothing list
	RPOPLPUSH list string
	LSET list 9 x
	LSET nothing 0 x
	LSET list nan x
	LINSERT list BEFORE x y
	LINSERT nothing AFTER x y
	LINSERT list BESIDE a b
	LREM list 0 x
	LREM nothing 0 x
	LREM list nan a
	LTRIM nothing 5 6
	LTRIM string 0 1
	LTRIM list 0 nan
	HSET string f v
	HSET hash f v g
	HMSET list f v
	HSETNX hash f new
	HSETNX string f v
	HDEL hash x y
	HDEL nothing f
	HDEL set a
	HINCRBY hash f 1
	HINCRBY hash n 9223372036854775807
	HINCRBY nothing n nan
	HINCRBY string n 1
	HINCRBYFLOAT hash f 1
	HINCRBYFLOAT hash n inf
	HINCRBYFLOAT nothing n x
	HINCRBYFLOAT string n 1
	SADD set a b
	SADD string a
	SREM set x
	SREM nothing a
	SREM zset a
	SMOVE set none x
	SMOVE set set a
	SMOVE nothing set a
	SMOVE set string a
	SMOVE string set a
	SPOP nothing
	SPOP set 0
	SPOP set -1
	SPOP set 1 1
	SPOP zset
	SUNIONSTORE nothing none
	SUNIONSTORE none set string
	SINTERSTORE nothing set none
	SINTERSTORE string set zset
	SDIFFSTORE nothing set set
	SDIFFSTORE string set list
	ZADD zset 1 a
	ZADD zset NX 2 a
	ZADD zset XX 1 x
	ZADD zset GT 0 a
	ZADD zset LT 2 a
	ZADD zset XX INCR 1 x
	ZADD zset GT INCR -1 a
	ZADD zset NX XX 1 a
	ZADD zset 5 x nan y
	ZADD nothing XX 1 a
	ZADD string 1 a
	ZINCRBY zset x a
	ZINCRBY zset -inf b
	ZINCRBY set 1 a
	ZREM zset x
	ZREM nothing a
	ZREM set a
	ZPOPMIN nothing
	ZPOPMIN zset 0
	ZPOPMIN zset -1
	ZPOPMAX nothing 2
	ZPOPMAX set
	ZMPOP 2 nothing none MIN
	ZMPOP 1 zset MIN COUNT 0
	ZMPOP 2 nothing set MAX
	ZREMRANGEBYRANK zset 5 9
	ZREMRANGEBYRANK zset a 9
	ZREMRANGEBYSCORE zset (1 (1
	ZREMRANGEBYSCORE nothing -inf inf
	ZREMRANGEBYSCORE set 1 2
	ZREMRANGEBYLEX zset + -
	ZREMRANGEBYLEX zset a b
	ZRANGESTORE nothing zset 5 9
	ZRANGESTORE none set 0 -1
	ZRANGESTORE none zset a 1
	ZUNIONSTORE nothing 1 none
	ZUNIONSTORE string 2 zset list
	ZUNIONSTORE string 2 zset set WEIGHTS 1 x
	ZINTERSTORE nothing 2 zset none
	ZINTERSTORE string 0 zset
	ZDIFFSTORE nothing 2 zset zset
	SETBIT string 1 1
	SETBIT string 0 2
	SETBIT string -1 0
	SETBIT list 0 1
	BITOP AND nothing none
	BITOP NOT nothing string number
	BITOP OR none string list
	BITFIELD string GET u8 0
	BITFIELD string SET u8 0 116
	BITFIELD string OVERFLOW FAIL SET u8 0 256
	BITFIELD string SET u8 0 1 GET u64 0
	BITFIELD nothing GET u8 0
	BITFIELD list SET u8 0 1
	SORT nothing STORE none
	SORT list STORE none
	SORT string ALPHA STORE none
	SORT list ALPHA STORE none LIMIT x 1
	XADD stream 1-1 f v
	XADD nothing NOMKSTREAM 1-1 f v
	XADD nothing 0-0 f v
	XADD stream 9-9 f
	XADD list 1-1 f v
	XDEL stream 9-9
	XDEL stream 1-1 x
	XDEL nothing 1-1
	XTRIM stream MAXLEN 5
	XTRIM stream MAXLEN 0 LIMIT 1
	XTRIM nothing MAXLEN 0
	ZDIFFSTORE string 1 zset WITHSCORES
	DEL nothing none
	UNLINK nothing
	RENAME nothing none
	RENAME string string
	RENAMENX string list
	RENAMENX string string
	COPY nothing none
	COPY string list
	COPY string string
	COPY string none DB 16
	MOVE nothing 1
	MOVE string 0
	MOVE string 16
	EXPIRE nothing 10
	EXPIRE string 10 XX
	EXPIRE string 10 GT
	EXPIRE string 10 NX GT
	EXPIRE string nan
	EXPIRE string 9223372036854775807
	EXPIREAT nothing 10
	EXPIREAT string 1 XX
	PEXPIRE string 10 GT
	PEXPIRE nothing 10
	PEXPIREAT string 1 WHEN
	PEXPIREAT nothing 1
	PERSIST string
	PERSIST nothing
	FLUSHALL SOON
	FLUSHDB SOON
	SWAPDB 0 16
	SWAPDB nan 0
`

// A write that fails or has nothing to do moves nothing: no key, no counter of
// changes, and nobody who watches.
func TestIdleWrites(t *testing.T) {
	s := newServer()
	c, watching := newClient(t, s), newClient(t, s)
	for _, line := range []string{"SET string text", "SET number 5", "RPUSH list a b c",
		"HSET hash f v n 5", "SADD set a b c", "ZADD zset 1 a inf b", "XADD stream 1-1 f v"} {
		c.ask(line)
	}
	tried := make(map[*command]bool)
	var lines []string
	for line := range strings.Lines(idleWrites) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
			if name, _, _ := strings.Cut(line, " "); commands[name].arity != 1 && commands[name].arity != -1 {
				lines = append(lines, name)
			}
		}
	}
	for _, line := range lines {
		watching.ask("WATCH string number list hash set zset stream nothing none")
		before, changes := contents(s.store), s.store.changes.Load()
		reply := c.ask(line)
		if got := contents(s.store); !reflect.DeepEqual(got, before) {
			t.Fatalf("%s: %s\nhad  %+v\nhave %+v", line, reply, before, got)
		}
		if s.store.changes.Load() != changes {
			t.Errorf("%s: %s, and it counts as a change", line, reply)
		}
		if !watching.watcher.intact(s.store.clock.millis()) {
			t.Errorf("%s: %s, and it alarms those who watch", line, reply)
		}
		watching.ask("UNWATCH")
		words, _ := splitWords(line)
		cmd, _ := lookup(words)
		tried[cmd] = true
	}
	for _, cmd := range allCommands() {
		if cmd.flags&write != 0 && !tried[cmd] {
			t.Errorf("%s is not tried", cmd.name)
		}
	}
}

// The first version of Redis, of 2009 and written in Tcl, had these commands.
func TestFirstRedis(t *testing.T) {
	s := testServer(t)
	bad := play(s.addr(), `
		> PING              < +PONG|
		> SET foo bar       < +OK|
		> GET foo           < $3|bar|
		> EXISTS foo        < :1|
		> DEL foo           < :1|
		> EXISTS foo        < :0|
		> GET foo           < $-1|
		> INCR counter      < :1|
		> INCR counter      < :2|
		> DECR counter      < :1|
		> RPUSH list b c    < :2|
		> LPUSH list a      < :3|
		> LRANGE list 0 -1  < *3|$1|a|$1|b|$1|c|  # which came a little later
		> SAVE              < +OK|
		> BGSAVE            < +Background saving started|
		> QUIT              < +OK|
		< closed`, s.pass)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	waitFor(t, "saves", func() int { return int(s.saver.saves.Load()) }, 2)
	again := newServer()
	again.config.set("dir", s.config.get("dir"))
	if n, err := again.load(again.store); n != 2 || err != nil {
		t.Errorf("%d keys came back, %v", n, err)
	}
}

// --- the table of commands ---------------------------------------------------

// Commands of the table that Redis 7.0.15 has not, or not like that.
var additions = []string{
	"client|setinfo", // of 7.2: client libraries send it at once
	"cluster",        // which only says that this is none
	"debug", "debug|help", "debug|object", "debug|reload", "debug|set-active-expire", "debug|sleep",
}

func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, g := range table {
		last := ""
		for _, row := range g.rows {
			first, rest, _ := strings.Cut(row.usage, " ")
			all := strings.Split(first, "|")
			for _, name := range all {
				c := command{row: row, named: 1}
				c.usage = strings.TrimSpace(name + " " + rest)
				if c.derive(); seen[c.name] {
					t.Errorf("%s stands there twice", c.name)
				}
				if seen[c.name] = true; name == all[0] && c.name < last {
					t.Errorf("%s stands behind %s", c.name, last)
				} else if name == all[0] {
					last = c.name
				}
			}
			if !strings.HasSuffix(row.summary, ".") {
				t.Errorf("the summary of %s is no sentence", row.usage)
			}
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
		flags := commandInfo([]*command{c})[0].([]any)[2].(names)
		slices.Sort(flags)
		got := fmt.Sprintf("%s\t%d\t%s\t%d\t%d\t%d",
			c.name, c.arity, strings.Join(flags, ","), c.keys.first, c.keys.last, c.keys.step)
		switch want := lines[c.name]; {
		case slices.Contains(additions, c.name):
		case want == "":
			t.Errorf("Redis has no %s; if that is meant it belongs to additions", c.name)
		case got != want:
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEveryCommandHasAConversation(t *testing.T) {
	held := make(map[*command]bool)
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range append(files, notInRedis) {
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

// What the README says of the code must be true: its list of commands, the lines of Go that it quotes, and
// in which file it finds what.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, source := string(b), make(map[string]string)
	for _, name := range []string{"main.go", "resp.go", "store.go", "commands.go", "persist.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source[name] = string(b)
	}
	var list strings.Builder
	for _, g := range table {
		var names []string
		for _, c := range allCommands() {
			if c.group.name == g.name && c.run != nil {
				names = append(names, strings.ToUpper(strings.ReplaceAll(c.name, "|", " ")))
			}
		}
		fmt.Fprintf(&list, "- %s: %s\n", g.name, strings.Join(names, ", "))
	}
	if !strings.Contains(readme, "<!-- commands -->\n"+list.String()+"<!-- /commands -->") {
		for line := range strings.Lines(list.String()) {
			if !strings.Contains(readme, line) {
				t.Errorf("the list of commands in README.md should have the line\n%s", line)
			}
		}
		t.Error("the list of commands in README.md is not that of the table")
	}
	all := strings.Join(slices.Collect(maps.Values(source)), "")
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		for line := range strings.Lines(block[1]) {
			if !strings.Contains(all, line) {
				t.Errorf("no file has %s", line)
			}
		}
	}
	places := regexp.MustCompile("((?:`[a-z][\\w.]*`,? (?:and )?)+)\\(?(\\w+\\.go)")
	found := places.FindAllStringSubmatch(strings.ReplaceAll(readme, "\n", " "), -1)
	for _, place := range found {
		for _, name := range regexp.MustCompile("[a-z][\\w.]*[\\w]`").FindAllString(place[1], -1) {
			receiver, method, isMethod := strings.Cut(strings.Trim(name, "`"), ".")
			pattern := `(?m)^(func|type|var|const) ` + receiver + `\b|^\t` + receiver + ` +=`
			if isMethod {
				pattern = `(?m)^func \(\w+ \*?` + receiver + `(\[\w\])?\) ` + method + `\b`
			}
			if !regexp.MustCompile(pattern).MatchString(source[place[2]]) {
				t.Errorf("%s has no %s", place[2], name)
			}
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d places were found", len(found))
	}
}

// A client that is served at the very moment at which its time is up gets one reply.
func TestServedWhenTimeIsUp(t *testing.T) {
	s := newServer()
	c, done := newClient(t, s), make(chan bool)
	go func() { c.dispatch([]string{"BLPOP", "k", "0.01"}); close(done) }()
	waitFor(t, "blocked clients", func() int { return oneIf(c.blocked.Load()) }, 1)
	s.store.Lock()
	if c.waiter == nil {
		t.Fatal("it does not wait")
	}
	<-c.waiter.Done()
	first, second := c.unblock(c.none), c.unblock(c.none)
	s.store.Unlock()
	<-done
	if got := string(c.out.buf); !first || second || got != "*-1\r\n" {
		t.Errorf("unblocked: %v, %v; got %q", first, second, got)
	}
}

// --- conversations -----------------------------------------------------------

// notInRedis are conversations that only Redis Lite can pass.
const notInRedis = "testdata/not-in-redis"

func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, name := range append(files, notInRedis) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			script, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s := testServer(t, "enable-debug-command", "local")
			for _, m := range play(s.addr(), string(script), s.pass) {
				t.Errorf("%s, %v", name, m)
			}
		})
	}
}

// The player must notice what is not as it should be.
func TestPlayer(t *testing.T) {
	s := testServer(t)
	for _, c := range []struct{ script, complaint string }{
		{"> RPUSH l a b b < :3|\n> LRANGE l 0 -1 < *3|$1|a|$1|b|$1|b|", ""},
		{"> PING < +PING|", "line 2, test: > PING\n\twant +PING|\n\tgot  +PONG|"},
		{"\n> PING < $4|PONG|", "line 3, test: > PING\n\twant $4|PONG|\n\tgot  +PONG|"},
		{"> GET nothing < ?|\n> GET nothing < $?|", ""},
		{"> GET nothing < *-1|", "got  $-1|"},
		{"> PING < $?|", "got  +PONG|"},
		{"> PING < closed", "got  +PONG|"},
		{"b> BLPOP q 0 < blocks\n> RPUSH q x < :1|\nb < *2|$1|q|$1|x|", ""},
		{"> QUIT < +OK|\n> PING < +PONG|", "line 3, test: > PING\n\twant +PONG|\n\tgot  EOF"},
		{"> QUIT < +OK|\n< closed\n== next\n> PING < +PONG|", ""},
		{">> PING|PING| < +PONG|+PONG|", ""},
		{">> PING|PING| < +PONG|-PONG|", "got  +PONG|+PONG|"},
		{">> PING|\n< +PONG|", ""},
		{"> RPUSH l a b < :2|\n> LRANGE l 0 -1 <~ *2|$1|b|$1|a|", ""},
		{"> RPUSH l a b < :2|\n> LRANGE l 0 -1 < *2|$1|b|$1|a|", "got  *2|$1|a|$1|b|"},
		{"> RPUSH l a b a < :3|\n> LRANGE l 0 -1 <~ *3|$1|b|$1|a|$1|b|", "got  *3|$1|a|$1|b|$1|a|"},
		{"> RPUSH l a b < :2|\n> LRANGE l 0 -1 < *2|$?|?|\n> LRANGE l 0 -1 < *?|", ""},
		{"> RPUSH l a b < :2|\n> LRANGE l 0 -1 < *2|?|:?|", "got  *2|$1|a|$1|b|"},
		{`> ECHO "\x00\r\n|\\?" < $6|\x00|\|\\?|`, ""},
		{`> ECHO "\x00\r\n|\\?" < $1|\?|`, `got  $6|\x00|\|\\?|`},
		{"> SET k v PX 10000 < +OK|\n+ 9s\n> EXISTS k < :1|\n+ 2s\n> EXISTS k < :0|", ""},
		{"b> SELECT 1 < +OK|\n> SET k v < +OK|\nb> GET k < $-1| # another database", ""},
		{"+ 10 apples", "unknown unit"},
		{"PING", "not a line"},
		{"> PING < PONG", "what is wanted is no reply"},
		{"> ECHO a < $1|abc|", "what is wanted is no reply"},
	} {
		got := strings.Join(play(s.addr(), "== test\n"+c.script, s.pass), "\n")
		if !strings.Contains(got, c.complaint) || c.complaint == "" && got != "" {
			t.Errorf("%s\ngot  %s\nwant %s", c.script, got, c.complaint)
		}
	}
	if got := play("127.0.0.1:1", "> PING < +PONG|", s.pass); len(got) != 1 || !strings.Contains(got[0], "refused") {
		t.Error("played without a server", got)
	}
}

// --- what is on disk ---------------------------------------------------------

// atHome returns a server, not started, whose dump is in a folder.
func atHome(folder string) *server {
	s := newServer()
	s.config.set("dir", folder)
	s.config.set("save", "")
	return s
}

// loadFrom loads the dump in a folder into a new server.
func loadFrom(folder string) (keys int, err error) {
	s := atHome(folder)
	return s.load(s.store)
}

// mustSave fills a server with commands, saves it, and returns the path of the dump.
func mustSave(t *testing.T, s *server, lines ...string) string {
	t.Helper()
	c := newClient(t, s)
	for _, line := range lines {
		if reply := c.ask(line); reply[0] == '-' {
			t.Fatal(line, reply)
		}
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(s.config.get("dir"), s.config.get("dbfilename"))
}

func TestSaveAndLoad(t *testing.T) {
	s := atHome(t.TempDir())
	for size := range 3 { // values that are cut into several records, or just not
		l, h, members, z, x := new(list), new(hash), new(set), new(zset), new(stream)
		for i := range 2*pieceItems + size - 1 {
			name := strconv.Itoa(i)
			l.push(back, name)
			h.put(name, "value "+name)
			members.put(name, 1)
			z.add(name, float64(i/3)/10)
			x.add(streamEntry{streamID(uint64(i), 1), name, ""})
		}
		for name, v := range map[string]container{"list": l, "hash": h, "set": members, "zset": z, "stream": x} {
			s.store.dbs[1].put(name+strconv.Itoa(size), item{object: v})
		}
	}
	s.store.dbs[1].put("long", item{text: xs(pieceBytes + 1)})
	s.store.dbs[1].put("as long as a piece", item{text: xs(pieceBytes)})
	mustSave(t, s,
		`SET string text`,
		`SET empty ""`,
		`SET "" "empty key"`,
		`SET bytes "\x00\r\n\xff\xfe"`,
		`SET "\xff\x00" x`,
		`SET number -9223372036854775808`,
		`APPEND edited abc`, `APPEND edited def`,
		`RPUSH list a "" "\x00" a`,
		`HSET hash field value "" "" "\x00" "\xff"`,
		`SADD set a "" "\x00" -1`,
		`ZADD zset inf most -inf least 0.1 b 0.1 "" -0 "\x00" 1e300 large 5e-324 small`,
		`XADD stream 1-1 field value "" ""`, `XADD stream 1-2 "\x00" "\xff"`, `XADD stream 5 a b`, `XDEL stream 5`,
		`XADD "stream without entries" 7-7 a b`, `XTRIM "stream without entries" MAXLEN 0`,
		`SET limited x PXAT 33177117420001`,
		`RPUSH limited-list x`, `PEXPIREAT limited-list 33177117420002`,
		`SELECT 15`,
		`SET string "of another database" PXAT 33177117420003`)
	again := atHome(s.config.get("dir"))
	n, err := again.load(again.store)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(contents(s.store), contents(again.store)) {
		t.Error("what came back is not what was saved") // too long to be printed
	}
	if reply := newClient(t, again).ask("XADD stream 4-9 a b"); reply[0] != '-' {
		t.Error("a stream forgot its last id", reply)
	}
	if n != 33 {
		t.Errorf("%d keys came back", n)
	}
}

// A key whose time came while the server was down does not come back.
func TestLoadDropsTheDead(t *testing.T) {
	s := atHome(t.TempDir())
	mustSave(t, s, "SET k v", "SET short v EX 10", "SET long v EX 1000", "SET past v PX 1")
	again := atHome(s.config.get("dir"))
	again.store.clock.ahead.Store(100 * 1e6) // microseconds
	if n, err := again.load(again.store); n != 2 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	if again.store.dbs[0].keys.has("short") || !again.store.dbs[0].keys.has("long") {
		t.Error("the wrong ones")
	}
}

// Dumps of earlier versions hold long strings in several records.
func TestStringInPieces(t *testing.T) {
	s := newStore()
	for _, piece := range []string{"one ", "two ", "three"} {
		if err := s.restore(record{Key: "k", Kind: "string", Items: []string{piece}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.dbs[0].keys.get("k").string(); got != "one two three" {
		t.Error(got)
	}
}

func TestNoDump(t *testing.T) {
	if n, err := loadFrom(t.TempDir()); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// A dump that is cut off or changed in any byte is refused, and left as it is.
func TestDamagedDump(t *testing.T) {
	s := atHome(t.TempDir())
	path := mustSave(t, s, "SET Name John", "SET short x EX 1000", "RPUSH list a b c", "SELECT 1", "SET a 1")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := loadFrom(s.config.get("dir")); err == nil {
			t.Fatalf("a dump %s was loaded", what)
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, b) {
			t.Fatalf("a dump %s was touched: %v", what, err)
		}
	}
	for i := range good {
		refused(fmt.Sprintf("cut off after %d bytes", i), good[:i])
		for _, change := range []byte{1, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= change
			refused(fmt.Sprintf("with another byte %d", i), bad)
		}
	}
	refused("with another byte at the end", append(bytes.Clone(good), 0))
	refused("of Redis", []byte("REDIS0010\xfa\x09redis-ver\x067.0.15"))
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := loadFrom(s.config.get("dir")); n != 4 || err != nil {
		t.Error(n, err)
	}
}

// Whatever stands in a dump, even behind a good checksum, reading it must end in
// keys or in an error.
func TestForgedDump(t *testing.T) {
	s := atHome(t.TempDir())
	path := mustSave(t, s, "SET Name John", "RPUSH list a b c", "HSET h f v", "ZADD z 1 m")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(dumpMagic); i < len(good)-trailerSize; i++ {
		for _, change := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(good[:len(good)-4])
			bad[i] ^= change
			bad = binary.LittleEndian.AppendUint32(bad, crc32.Checksum(bad, crcTable))
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			loadFrom(s.config.get("dir"))
		}
	}
}

// What a crash left of the file that was being written does no harm.
func TestCrashWhileSaving(t *testing.T) {
	s := atHome(t.TempDir())
	path := mustSave(t, s, "SET Name John")
	if err := os.WriteFile(path+".tmp", []byte("half a du"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := loadFrom(s.config.get("dir")); n != 1 || err != nil {
		t.Error(n, err)
	}
	mustSave(t, s, "SET Name Jack", "SET other x")
	if n, err := loadFrom(s.config.get("dir")); n != 2 || err != nil {
		t.Error(n, err)
	}
	if _, err := os.Stat(path + ".tmp"); !os.IsNotExist(err) {
		t.Error("the temporary file is still there", err)
	}
}

// A save that fails leaves the old dump, says so, and stops writes until one
// succeeds.
func TestSaveFails(t *testing.T) {
	s := atHome(t.TempDir())
	s.config.set("save", "3600 1")
	c := newClient(t, s)
	path := mustSave(t, s, "SET Name John")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".tmp", 0o755); err != nil { // cannot be written to
		t.Fatal(err)
	}
	c.ask("SET Name Jack")
	changes := s.store.changes.Load()
	for _, step := range [][2]string{
		{"SAVE", "-ERR|"},
		{"GET Name", "$4|Jack|"}, // only a save in the background that failed stops writes
		{"SET Name Jack", "+OK|"},
		{"BGSAVE", "+Background saving started|"},
		{"SET Name Joe", "-" + string(errSaveFailed) + "|"},
		{"PING", "-" + string(errSaveFailed) + "|"}, // so that who watches the server learns of it
		{"SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.|"},
		{"GET Name", "$4|Jack|"},
		{"CONFIG SET stop-writes-on-bgsave-error no", "+OK|"},
		{"SET Name Jim", "+OK|"},
		{"CONFIG SET stop-writes-on-bgsave-error yes", "+OK|"},
		{"SET Name Joe", "-" + string(errSaveFailed) + "|"},
	} {
		if got := c.ask(step[0]); got != step[1] {
			t.Errorf("%s: %s", step[0], got)
		}
		s.saver.busy.Lock() // when it has ended
		s.saver.busy.Unlock()
	}
	if s.store.changes.Load() != changes+2 {
		t.Error("the changes were forgotten")
	}
	if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, good) {
		t.Error("the old dump is gone", err)
	}
	if err := os.Remove(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	if got := c.ask("SAVE") + c.ask("SET Name Joe"); got != "+OK|+OK|" {
		t.Error(got)
	}
	if s.store.changes.Load() != 1 {
		t.Error("changes since the save:", s.store.changes.Load())
	}
}

// One save at a time.
func TestSaveWhileSaving(t *testing.T) {
	s := atHome(t.TempDir())
	c := newClient(t, s)
	s.saver.busy.Lock()
	for _, line := range []string{"SAVE", "BGSAVE"} {
		if got := c.ask(line); got != "-ERR Background save already in progress|" {
			t.Errorf("%s: %s", line, got)
		}
	}
}

func TestSavePoints(t *testing.T) {
	s := atHome(t.TempDir())
	s.config.set("save", "60 3 3600 1")
	c := newClient(t, s)
	saves := func() int64 {
		s.saveIfDue()
		s.saver.busy.Lock() // when that save has ended
		s.saver.busy.Unlock()
		return s.saver.saves.Load()
	}
	ago := func(seconds int64) { s.saver.last.Store(time.Now().Unix() - seconds) }
	ago(100_000)
	if saves() != 0 {
		t.Error("saved although nothing has changed")
	}
	ago(100)
	c.ask("SET a 1")
	c.ask("SET b 1")
	if saves() != 0 {
		t.Error("saved too early")
	}
	c.ask("SET c 1")
	if saves() != 1 {
		t.Error("3 changes in 60 seconds were not saved")
	}
	c.ask("SET d 1")
	ago(4000)
	if saves() != 2 || saves() != 2 {
		t.Error("1 change in 3600 seconds was not saved once")
	}
}

// A server that is told to stop saves what it has.
func TestShutdownSaves(t *testing.T) {
	s := testServer(t)
	c := newClient(t, s)
	c.ask("SET Name John")
	if !s.shutdown(true) {
		t.Fatal("cannot save")
	}
	if n, err := loadFrom(s.config.get("dir")); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// --- how fast ----------------------------------------------------------------

// BenchmarkLargeValue runs commands on one value with so many elements, without a
// network. A # stands for a number below twice the size: half of them are members.
func BenchmarkLargeValue(b *testing.B) {
	for _, lines := range []string{"ZADD zset # #", "ZRANGE zset -10 -1", "ZRANGE zset 500 509",
		"ZRANGE zset # +inf BYSCORE LIMIT 5 10", "ZRANK zset #", "HSET hash # value", "SADD set #",
		"SADD set # SPOP set", "LINDEX list #", "RPUSH list # LPOP list"} {
		for _, size := range []int{1e3, 1e6} {
			b.Run(fmt.Sprintf("%s/%d", lines, size), func(b *testing.B) {
				c := largeValues(b, size)
				var todo [4096][]string
				for i := range todo {
					todo[i] = strings.Fields(strings.ReplaceAll(lines, "#", strconv.Itoa(rand.IntN(2*size))))
				}
				for i := 0; b.Loop(); i++ {
					words := todo[i%len(todo)]
					if len(words) == 5 { // two commands, so that the value stays as large as it is
						c.dispatch(words[3:])
						words = words[:3]
					}
					c.dispatch(words)
					c.out.buf = c.out.buf[:0]
				}
			})
		}
	}
}

func largeValues(b *testing.B, size int) *conn {
	s := newServer()
	h, members, z, l := new(hash), new(set), new(zset), new(list)
	for _, i := range rand.Perm(size) {
		name := strconv.Itoa(2 * i)
		h.put(name, "value")
		members.put(name, 1)
		z.add(name, float64(2*i))
		l.push(back, name)
	}
	for name, v := range map[string]container{"hash": h, "set": members, "zset": z, "list": l} {
		s.store.dbs[0].put(name, item{object: v})
	}
	return newClient(b, s)
}

// BenchmarkKeys runs commands on random keys of a keyspace with so many.
func BenchmarkKeys(b *testing.B) {
	for _, size := range []int{1e5, 1e6} {
		c := manyKeys(b, size)
		for _, line := range []string{"GET #", "SET # value", "DEL #", "SCAN #"} {
			b.Run(fmt.Sprintf("%s/%d", line, size), func(b *testing.B) {
				for b.Loop() {
					c.dispatch(strings.Fields(strings.Replace(line, "#", strconv.Itoa(rand.IntN(size)), 1)))
					c.out.buf = c.out.buf[:0]
				}
			})
		}
	}
}

func BenchmarkSave(b *testing.B) {
	b.ReportAllocs()
	c := manyKeys(b, 1e5)
	c.server.config.set("dir", b.TempDir())
	for b.Loop() {
		if err := c.server.save(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	c := manyKeys(b, 1e5)
	c.server.config.set("dir", b.TempDir())
	if err := c.server.save(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n, err := c.server.load(newStore()); n != 1e5 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func manyKeys(b *testing.B, size int) *conn {
	s := newServer()
	for i := range size {
		s.store.dbs[0].put(strconv.Itoa(i), item{text: "value"})
	}
	return newClient(b, s)
}
