package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How to read this file: first the containers, which know nothing of Redis, and the algebra of sets; then the
// keyspace made of them, waiting, expiry and algorithms. Nothing here knows the network or the protocol.

// --- dict: a map that can be scanned and drawn from --------------------------

// A dict is a map from string to V that also keeps its entries in a row, so that it can pick one at random
// and be scanned with a cursor; a Go map can do neither. The row is cut into pages, as doubling one slice of
// ten million entries would stop the server for as long as the copying takes.
type dict[V any] struct {
	index map[string]int32 // where each key stands; nil while there are few: they are searched
	pages [][]entry[V]     // all full but the last; it may be empty
	n     int
	peak  int // the most entries since the index was made: a Go map never shrinks
}

type entry[V any] struct {
	key   string
	value V
}

const (
	pageBits  = 9
	pageSize  = 1 << pageBits // entries
	fewKeys   = 12            // entries up to which searching beats hashing, and takes no memory
	shrinkMax = 1 << 13       // entries whose index is made anew without anybody noticing
)

func (d *dict[V]) len() int            { return d.n }
func (d *dict[V]) has(key string) bool { return d.where(key) >= 0 }
func (d *dict[V]) at(i int) *entry[V]  { return &d.pages[i>>pageBits][i&(pageSize-1)] }
func (d *dict[V]) random() string      { return d.at(rand.IntN(d.n)).key }

// where returns the place of key, or -1.
func (d *dict[V]) where(key string) int {
	if d.index != nil {
		if i, ok := d.index[key]; ok {
			return int(i)
		}
	} else if d.n > 0 {
		for i := range d.pages[0] {
			if d.pages[0][i].key == key {
				return i
			}
		}
	}
	return -1
}

// get returns the value of key in place, or nil. The pointer is good until an entry is added or removed.
func (d *dict[V]) get(key string) *V {
	if i := d.where(key); i >= 0 {
		return &d.at(i).value
	}
	return nil
}

// put sets the value of key and tells whether key is new.
func (d *dict[V]) put(key string, v V) bool {
	if old := d.get(key); old != nil {
		*old = v
		return false
	}
	last := d.n >> pageBits
	if last == len(d.pages) { // most dicts stay small; once there are many entries a page is made whole
		d.pages = append(d.pages, make([]entry[V], 0, either(last > 0, pageSize, 5)))
	}
	d.pages[last] = append(d.pages[last], entry[V]{key, v})
	if d.index != nil {
		d.index[key] = int32(d.n)
	}
	d.n++
	d.peak = max(d.peak, d.n)
	if d.index == nil && d.n > fewKeys {
		d.reindex()
	}
	return true
}

// remove takes key out, and tells whether it was there. The last entry moves into the hole.
func (d *dict[V]) remove(key string) bool {
	i := d.where(key)
	if i < 0 {
		return false
	}
	d.n--
	if d.index != nil {
		d.index[d.at(d.n).key] = int32(i)
		delete(d.index, key) // after that: it may be the last
	}
	*d.at(i) = *d.at(d.n)
	*d.at(d.n) = entry[V]{}
	k := d.n >> pageBits
	d.pages[k] = d.pages[k][:d.n&(pageSize-1)]
	d.pages = slices.Delete(d.pages, k+1, len(d.pages)) // one page that is empty is kept for the next put
	if d.peak > 8*d.n && d.n <= shrinkMax {
		d.reindex()
	}
	return true
}

// reindex makes the index anew, as small as the entries allow.
func (d *dict[V]) reindex() {
	d.peak, d.index = max(d.n, fewKeys), nil
	if d.n > fewKeys {
		d.index = make(map[string]int32, d.n)
		for i := range d.n {
			d.index[d.at(i).key] = int32(i)
		}
	}
}

// all is an iterator over the entries. A loop that removes or adds must not use it.
func (d *dict[V]) all(yield func(key string, v *V) bool) {
	for _, page := range d.pages {
		for i := range page {
			if !yield(page[i].key, &page[i].value) {
				return
			}
		}
	}
}

func (d *dict[V]) clone() container {
	return &dict[V]{maps.Clone(d.index), clonePages(d.pages), d.n, d.peak}
}

func clonePages[E any](pages [][]E) (copied [][]E) {
	for _, page := range pages {
		copied = append(copied, slices.Clone(page))
	}
	return copied
}

// picks returns count random entries: different ones, or, when count is negative, -count that may repeat.
func (d *dict[V]) picks(count int64) []*entry[V] {
	list, drawn := make([]*entry[V], min(max(count, -count), max(int64(d.n), -count))), make(map[int]bool)
	for n := range list {
		i := rand.IntN(d.n)
		if count >= int64(d.n) {
			i = n
		} else if count > 0 {
			// Robert Floyd's sampling: as many draws as picks, whatever their share.
			top := d.n - int(count) + n
			if i = rand.IntN(top + 1); drawn[i] {
				i = top
			}
			drawn[i] = true
		}
		list[n] = d.at(i)
	}
	return list
}

// scan calls visit for about count entries and returns the cursor to go on from; both begin and end are
// cursor 0. What is there throughout a scan is visited. It works because the scan walks down: the only entry
// that ever moves is the last, and only into a lower place, so that whatever was not yet visited stays below.
func (d *dict[V]) scan(cursor uint64, count int, visit func(key string, v *V)) uint64 {
	i := either(cursor > 0, int(min(cursor, uint64(d.n))), d.n)
	for ; i > 0 && count > 0; i, count = i-1, count-1 {
		e := d.at(i - 1)
		visit(e.key, &e.value)
	}
	return uint64(i)
}

// --- chunked: elements in an order -------------------------------------------

// A chunked keeps elements in order, cut into chunks: a place is found by adding up their lengths, and to
// add or remove one moves part of a chunk at most. It is a list, a stream, and the order of a sorted set.
type chunked[E any] struct {
	chunks [][]E // none is empty
	n      int
}

const front, back end = 0, 1
const chunkSize = 256 // elements at which a chunk is split

type end int                  // one of the two, as a share of the length
type spot struct{ k, at int } // where an element stands, or would: its chunk, and how many precede it there

func (s *chunked[E]) len() int            { return s.n }
func (s *chunked[E]) clone() container    { return &chunked[E]{clonePages(s.chunks), s.n} }
func (s *chunked[E]) get(p spot) *E       { return &s.chunks[p.k][p.at] }
func (s *chunked[E]) push(where end, e E) { s.insert(s.place(int(where)*s.n), e) }

// place returns the spot of element i, 0 being the first; i may be the length.
func (s *chunked[E]) place(i int) spot {
	k := 0
	if i <= s.n/2 {
		for ; i > 0 && i >= len(s.chunks[k]); k++ {
			i -= len(s.chunks[k])
		}
		return spot{k, i}
	}
	i -= s.n // from the end, below 0
	for k = len(s.chunks) - 1; -i > len(s.chunks[k]); k-- {
		i += len(s.chunks[k])
	}
	return spot{k, i + len(s.chunks[k])}
}

type border[E any] func(e *E) bool // true for the elements that lie before some place in an order

// search returns the spot of the first element that is not before a border.
func (s *chunked[E]) search(before border[E]) spot {
	k := sort.Search(len(s.chunks), func(k int) bool { c := s.chunks[k]; return !before(&c[len(c)-1]) })
	if k == len(s.chunks) {
		return s.place(s.n)
	}
	c := s.chunks[k]
	return spot{k, sort.Search(len(c), func(at int) bool { return !before(&c[at]) })}
}

// rank returns how many elements are before a border.
func (s *chunked[E]) rank(before border[E]) int {
	p := s.search(before)
	for _, c := range s.chunks[:p.k] {
		p.at += len(c)
	}
	return p.at
}

func (s *chunked[E]) insert(p spot, e E) {
	if s.n++; len(s.chunks) == 0 {
		s.chunks = append(s.chunks, nil)
	}
	if c := s.chunks[p.k]; len(c) == chunkSize {
		half := either(p.at == 0 || p.at == chunkSize, p.at, chunkSize/2) // at an end: chunks stay full
		tail := append(make([]E, 0, max(half, chunkSize-half)), c[half:]...)
		s.chunks = slices.Insert(s.chunks, p.k+1, tail)
		clear(c[half:])
		s.chunks[p.k] = c[:half]
		if p.at >= half && half > 0 {
			p = spot{p.k + 1, p.at - half}
		}
	}
	s.chunks[p.k] = slices.Insert(s.chunks[p.k], p.at, e)
}

// cut removes count elements from a spot on.
func (s *chunked[E]) cut(p spot, count int) {
	s.n -= count
	first, k, at := p.k, p.k, p.at
	for ; count > 0; k++ {
		c := s.chunks[k]
		n := min(len(c)-at, count)
		if at == 0 { // nothing moves
			clear(c[:n])
			s.chunks[k] = c[n:]
		} else {
			s.chunks[k] = slices.Delete(c, at, at+n)
		}
		count, at = count-n, 0
	}
	left := slices.DeleteFunc(s.chunks[first:k], func(c []E) bool { return len(c) == 0 })
	s.chunks = slices.Delete(s.chunks, first+len(left), k)
	first += oneIf(len(left) > 0)
	if first > 0 && first < len(s.chunks) && len(s.chunks[first-1])+len(s.chunks[first]) < chunkSize/2 {
		s.chunks[first-1] = append(s.chunks[first-1], s.chunks[first]...)
		s.chunks = slices.Delete(s.chunks, first, first+1)
	}
}

// pop takes the element at one end. There must be one.
func (s *chunked[E]) pop(where end) E {
	p := s.place(int(where) * (s.n - 1))
	e := *s.get(p)
	s.cut(p, 1)
	return e
}

// span ranges over the elements from i up to and without j, or backwards.
func (s *chunked[E]) span(i, j int, reverse bool) iter.Seq[E] {
	return func(yield func(E) bool) {
		step, p := either(reverse, -1, 1), s.place(either(reverse, max(j-1, 0), i))
		for range j - i {
			if !yield(*s.get(p)) {
				return
			}
			if p.at += step; p.at == len(s.chunks[p.k]) {
				p = spot{p.k + 1, 0}
			} else if p.at < 0 && p.k > 0 {
				p = spot{p.k - 1, len(s.chunks[p.k-1]) - 1}
			}
		}
	}
}

// --- sorted sets -------------------------------------------------------------

// A zset is a sorted set: the score of each member, and the members by score, those of one score by bytes.
// Finding is a binary search. A skip list does the same with more code and a pointer to follow at each step.
type zset struct {
	scores dict[float64]
	order  chunked[scored]
}

type scored struct {
	score  float64
	member string
}

// before is the border before e.
func (e scored) before(other *scored) bool {
	return other.score < e.score || other.score == e.score && other.member < e.member
}

// add gives a member a score, and tells whether the member is new.
func (z *zset) add(member string, score float64) bool {
	score += 0 // which makes 0 of -0
	if old := z.scores.get(member); old != nil {
		if *old == score {
			return false
		}
		z.order.cut(z.order.search(scored{*old, member}.before), 1)
	}
	e := scored{score, member}
	z.order.insert(z.order.search(e.before), e)
	return z.scores.put(member, score)
}

func (z *zset) remove(member string) bool {
	if score := z.scores.get(member); score != nil {
		z.order.cut(z.order.search(scored{*score, member}.before), 1)
	}
	return z.scores.remove(member)
}

// cut removes and returns the entries with rank i up to and without j.
func (z *zset) cut(i, j int, reverse bool) (entries []scored) {
	for e := range z.order.span(i, j, reverse) {
		entries = append(entries, e)
		z.scores.remove(e.member)
	}
	z.order.cut(z.order.place(i), j-i)
	return entries
}

func (z *zset) len() int { return z.order.n }
func (z *zset) clone() container {
	return &zset{*z.scores.clone().(*dict[float64]), *z.order.clone().(*chunked[scored])}
}

// --- streams -----------------------------------------------------------------

// A stream is a row of entries, whose ids only grow: the last one stays when its entry goes.
type stream struct {
	chunked[streamEntry]
	last  string
	added int // entries, also those that went
}

type streamEntry = []string // an id, and then field, value, field, value

// streamID makes an id of two numbers: mostly Unix ms, and one within that. Ids compare as strings do.
func streamID(ms, seq uint64) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), ms)
	return string(binary.BigEndian.AppendUint64(b, seq))
}

var firstStreamID, lastStreamID = streamID(0, 0), streamID(math.MaxUint64, math.MaxUint64) // no entry has 0-0

func streamNumbers(id string) (ms, seq uint64) {
	return binary.BigEndian.Uint64([]byte(id)), binary.BigEndian.Uint64([]byte(id[8:]))
}

// add adds an entry whose id is greater than all before. Without fields only the id is taken note of.
func (s *stream) add(e streamEntry) {
	if s.last = e[0]; len(e) > 1 {
		s.push(back, e)
		s.added++
	}
}

// atID returns the border before the entry with an id, or behind it.
func atID(id string, behind bool) border[streamEntry] {
	return func(e *streamEntry) bool { return (*e)[0] < id || behind && (*e)[0] == id }
}

func (s *stream) clone() container {
	return &stream{*s.chunked.clone().(*chunked[streamEntry]), s.last, s.added}
}

// --- set algebra -------------------------------------------------------------

type operation string // its name, as it is in those of commands

const union, intersection, difference operation = "union", "inter", "diff"

// An operand of set algebra is a set, whose members all have the score 1, or the scores of a sorted set.
type operand struct {
	*dict[float64]
	weight float64 // that scores are multiplied with
}

// orZero makes 0 of infinity minus or times what has no sum or product with it.
func orZero(f float64) float64 { return either(math.IsNaN(f), 0, f) }

type aggregate func(a, b float64) float64 // makes one score of two: a when b is no number, unlike min and max

func sum(a, b float64) float64     { return orZero(a + b) }
func lesser(a, b float64) float64  { return either(b < a, b, a) }
func greater(a, b float64) float64 { return either(b > a, b, a) }

// combine returns the members that an operation leaves, and their scores; at most limit when that is not 0.
func (op operation) combine(operands []operand, how aggregate, limit int) *dict[float64] {
	result := &dict[float64]{}
	if op != difference { // the smallest first is the shortest way, and how Redis adds scores
		slices.SortStableFunc(operands, func(a, b operand) int { return cmp.Compare(a.n, b.n) })
	}
	n := either(op == union, len(operands), 1) // whose members may come in; the rest is only looked up in
	for _, o := range operands[:n] {
	members:
		for m, score := range o.all {
			joined := orZero(*score * o.weight)
			for _, other := range operands[n:] {
				switch value := other.get(m); {
				case (value != nil) != (op == intersection):
					continue members
				case value != nil:
					joined = how(joined, *value*other.weight)
				}
			}
			if old := result.get(m); old != nil {
				*old = how(*old, joined)
			} else if result.put(m, joined); result.n == limit {
				break
			}
		}
	}
	return result
}

// --- keyspace ----------------------------------------------------------------

// An item is the value of a key. Most are strings, and an immutable Go string can be in a reply and in a
// snapshot at once without a copy; it stands in the item itself, so that SET makes one object and GET follows
// one pointer. With its key an item takes 64 bytes, one line of the processor's cache.
type item struct {
	text     string    // the string, while object is nil
	object   container // anything else
	deadline int64     // Unix time in ms at which the key expires, 0 for never
	access   uint32    // Unix time in seconds of the last access; atomic, readers set it
}

func (it *item) dead(now int64) bool { return it != nil && it.deadline != 0 && it.deadline <= now }

// A container is a value that is edited in place.
type container interface {
	len() int         // in elements
	clone() container // a copy that shares nothing that can change
}

// pointer is a type whose pointer is a container.
type pointer[T any] interface {
	*T
	container
}

// A buffer is a string that is edited in place: to set a bit of 64 MB costs what one of 64 bytes costs.
type buffer struct{ b []byte }

func (t *buffer) len() int         { return len(t.b) }
func (t *buffer) clone() container { return &buffer{slices.Clone(t.b)} }

// grow makes it at least n bytes long, the new ones 0, and tells whether it was shorter.
func (t *buffer) grow(n int) bool {
	more := n - len(t.b)
	t.b = append(t.b, make([]byte, max(0, more))...)
	return more > 0
}

type (
	list = chunked[string]
	hash = dict[string]  // field to value
	set  = dict[float64] // the members; all have the score 1
)

// typeName is what TYPE says, and encoding what OBJECT ENCODING says.
func (it *item) typeName() string { name, _ := it.kind(); return name }
func (it *item) kind() (name, encoding string) {
	if it == nil {
		return "none", ""
	}
	switch o := it.object.(type) {
	case *list:
		return "list", "quicklist"
	case *hash:
		return "hash", either(o.n <= fewKeys, "listpack", "hashtable") // without an index or with one
	case *set:
		return "set", "hashtable"
	case *zset:
		return "zset", either(o.len() <= fewKeys, "listpack", "skiplist")
	case *stream:
		return "stream", "stream"
	}
	_, isInt := parseInt(it.text) // a buffer has no text
	long := it.object != nil || len(it.text) > 44
	return "string", either(isInt, "int", either(long, "raw", "embstr"))
}

// length and slice look at a string, or at nothing, without copying it all. 0 <= i <= j <= length.
func (it *item) length() int {
	if it = cmp.Or(it, new(item)); it.object != nil {
		return it.object.len()
	}
	return len(it.text)
}

func (it *item) slice(i, j int) string {
	it = cmp.Or(it, new(item))
	if t, ok := it.object.(*buffer); ok {
		return string(t.b[i:j])
	}
	return it.text[i:j]
}

// string returns the whole string, which the item must be.
func (it *item) string() string { return it.slice(0, it.length()) }

// stringOrNil returns the string, only to be read at once, or nil when there is none.
func (it *item) stringOrNil() *string {
	if it != nil && it.object == nil {
		return &it.text
	} else if it.typeName() != "string" {
		return nil
	}
	s := it.string()
	return &s
}

// index is that of a hash, set or sorted set, if it has one.
func (it *item) index() map[string]int32 {
	switch o := cmp.Or(it, new(item)).object.(type) {
	case *hash:
		return o.index
	case *set:
		return o.index
	case *zset:
		return o.scores.index
	}
	return nil
}

// bits returns n <= 64 bits of a string from bit i on; bits behind its end are 0.
func (it *item) bits(i int64, n int) uint64 {
	var window [9]byte // that they are in, whatever bit of the first they begin at
	size := int64(it.length())
	copy(window[:], it.slice(int(min(i/8, size)), int(min(i/8+9, size))))
	v := binary.BigEndian.Uint64(window[:])<<(i%8) | uint64(window[8])>>(8-i%8)
	return v >> (64 - n)
}

// setBits makes n bits of b from bit i on the lowest n of v.
func setBits(b []byte, i int64, n int, v uint64) {
	for ; n > 0; i, n = i+1, n-1 {
		mask := byte(128 >> (i % 8))
		b[i/8] = b[i/8]&^mask | mask*byte(v>>(n-1)&1)
	}
}

// elements is an iterator over what a value is made of, as text: members with scores, say, or a whole string.
// The iterators of containers do the work: their loop bodies pass on what they get to that of ours.
func (it *item) elements(yield func(parts []string) bool) {
	switch o := it.object.(type) {
	case *list:
		o.span(0, o.n, false)(func(s string) bool { return yield([]string{s}) })
	case *hash:
		o.all(func(field string, v *string) bool { return yield([]string{field, *v}) })
	case *set:
		o.all(func(member string, _ *float64) bool { return yield([]string{member}) })
	case *zset:
		o.order.span(0, o.len(), false)(func(e scored) bool {
			return yield([]string{e.member, strconv.FormatFloat(e.score, 'g', -1, 64)})
		})
	case *stream:
		slices.Values(append(slices.Concat(o.chunks...), []string{o.last}))(yield) // it may have gone
	default:
		yield([]string{it.string()})
	}
}

// size estimates the bytes that a value takes, from its first elements where there are many.
func (it *item) size() int {
	const sample = 1000
	n, bytes := 0, 0
	for parts := range it.elements {
		for _, s := range parts {
			bytes += len(s) + 16
		}
		if n++; n == sample {
			return bytes / sample * it.object.len()
		}
	}
	return bytes
}

// A db is one of the 16 keyspaces.
type db struct {
	id       int
	keys     dict[item]
	mortal   dict[struct{}]       // the keys that have a deadline, for the sampler
	watchers registry[*watcher]   // who asked with WATCH to hear of a change
	waiting  map[string][]*waiter // who blocks until a key is filled, first come first
	ttl      int64                // average ms to live of what the sampler saw last
}

// A store is the whole data set. Handlers and methods find it locked; readers change nothing but atomics.
type store struct {
	sync.RWMutex
	dbs              []*db
	clock            clock
	changed          []change     // what the command that has the lock has changed
	changes          atomic.Int64 // since the last save
	expired, evicted atomic.Int64 // keys
	excess, freed    atomic.Int64 // bytes to be freed by evicting keys, and those that were
	lazyOnly         atomic.Bool  // the sampler is off
	frozen           atomic.Int64 // Unix ms until which nothing expires

	notify   func(d *db, class byte, event, key string) // called for what happens to keys
	onUnlock func()                                     // called at the end of writing
}

func newStore() *store {
	s := &store{dbs: make([]*db, databases), notify: func(*db, byte, string, string) {}, onUnlock: func() {}}
	for i := range s.dbs {
		s.dbs[i] = &db{id: i, watchers: make(registry[*watcher]), waiting: make(map[string][]*waiter)}
	}
	return s
}

const databases = 16

// A clock tells the Unix time, at in µs and millis in ms; a test can move it.
type clock struct{ ahead atomic.Int64 } // µs by which it was moved

func (c *clock) at(t time.Time) int64 { return t.UnixMicro() + c.ahead.Load() }
func (c *clock) millis() int64        { return c.at(time.Now()) / 1000 }
func (s *store) isFrozen() bool       { return time.Now().UnixMilli() < s.frozen.Load() }

// unlock ends writing: it serves who waits, and tells who wants to know.
func (s *store) unlock() {
	defer s.Unlock()
	s.serve()
	s.onUnlock()
	s.changed = either(cap(s.changed) > 1<<10, nil, s.changed[:0])
}

// find returns the item of a key that is alive, else nil.
func (d *db) find(key string, now int64) *item {
	it := d.keys.get(key)
	return either(it.dead(now), nil, it)
}

// put gives key an item in place of any other, and tells whether the key is new.
func (d *db) put(key string, it item) bool {
	old := d.keys.get(key)
	if it.deadline != 0 {
		d.mortal.put(key, struct{}{})
	} else if old != nil && old.deadline != 0 {
		d.mortal.remove(key)
	}
	if old == nil {
		return d.keys.put(key, it)
	}
	*old = it
	return false
}

// remove takes key out, which need be neither there nor mortal.
func (d *db) remove(key string) {
	d.mortal.remove(key)
	d.keys.remove(key)
}

// A registry says who is interested in what.
type registry[T comparable] map[string]map[T]bool

func (g registry[T]) add(what string, who T) {
	if g[what] == nil {
		g[what] = make(map[T]bool)
	}
	g[what][who] = true
}

func (g registry[T]) remove(what string, who T) {
	if delete(g[what], who); len(g[what]) == 0 {
		delete(g, what)
	}
}

// A watcher is a client between WATCH and EXEC.
type watcher struct {
	broken bool // something that it watches has changed
	keys   []place
}

// A place is a key of a database, and a change who has changed it.
type place struct {
	db  *db // nil in a change: all keys of one are gone
	key string
}

type change struct {
	place
	by any // a *conn, or nil when the key expired
}

// watch makes w hear of changes to key, which is not dead: that it goes would be no change.
func (d *db) watch(w *watcher, key string) {
	if !d.watchers[key][w] {
		d.watchers.add(key, w)
		w.keys = append(w.keys, place{d, key})
	}
}

func (w *watcher) unwatch() {
	for _, k := range w.keys {
		k.db.watchers.remove(k.key, w)
	}
	w.keys, w.broken = nil, false
}

// intact tells whether nothing that w watches has changed or expired.
func (w *watcher) intact(now int64) bool {
	expired := func(k place) bool { return k.db.keys.get(k.key).dead(now) }
	return !w.broken && !slices.ContainsFunc(w.keys, expired)
}

func (d *db) alarm(key string) {
	for w := range d.watchers[key] {
		w.broken = true
	}
}

// touched tells of a change to key, and by whom.
func (s *store) touched(d *db, key string, by any) {
	d.alarm(key)
	s.changed = append(s.changed, change{place{d, key}, by})
}

// replace gives d the keys of other, as SWAPDB does, or of an empty one, as FLUSHDB does: in no time, for the
// garbage collector does the rest. Watchers and waiters stay, and hear of what changed for them.
func (s *store) replace(d, other *db, now int64) {
	old := d.keys
	d.keys, d.mortal, d.ttl = other.keys, other.mortal, other.ttl
	for key := range d.watchers {
		if d.keys.get(key).dead(now) {
			d.remove(key)
		}
		if old.has(key) || d.keys.has(key) {
			d.alarm(key)
		}
	}
	for key := range d.waiting {
		s.changed = append(s.changed, change{place{d, key}, nil})
	}
}

// --- waiting -----------------------------------------------------------------

// A waiter is a client that a blocking command has parked. It changes only under the store's lock.
type waiter struct {
	context.Context // which ends with the waiting
	db              *db
	keys            []string
	run             func(key string) (served bool) // tries again, now that key was filled
	wake            func()                         // ends the waiting, and tells the client
}

// wait puts a client at the end of the queue of each key. A timeout of 0 is 292 years.
func (d *db) wait(keys []string, timeout time.Duration, run func(key string) bool, wake func()) *waiter {
	ctx, end := context.WithTimeout(context.Background(), cmp.Or(timeout, math.MaxInt64))
	w := &waiter{ctx, d, slices.Compact(slices.Sorted(slices.Values(keys))), run, func() { end(); wake() }}
	for _, key := range w.keys {
		d.waiting[key] = append(d.waiting[key], w)
	}
	return w
}

func (w *waiter) leave() {
	for _, key := range w.keys {
		queue := slices.DeleteFunc(w.db.waiting[key], func(other *waiter) bool { return other == w })
		if w.db.waiting[key] = queue; len(queue) == 0 {
			delete(w.db.waiting, key)
		}
	}
	w.wake()
}

// serve lets those who wait for what has changed try again, first come, first served. That may change more.
func (s *store) serve() {
	for i := 0; i < len(s.changed); i++ {
		d, key := s.changed[i].db, s.changed[i].key
		if d == nil || len(d.waiting) == 0 || i > 0 && s.changed[i].place == s.changed[i-1].place {
			continue
		}
		for _, w := range slices.Clone(d.waiting[key]) {
			if it := d.keys.get(key); it != nil && it.object != nil && w.Err() == nil && w.run(key) {
				w.leave()
			}
		}
	}
}

// --- expiry ------------------------------------------------------------------

// The sampler's measure: ten rounds a second, of looks at 100 random keys that have a deadline. A round goes
// on, after a pause for the clients, while more than a tenth of them were dead and there is time left.
const (
	samplerPause = 100 * time.Millisecond
	samplerTime  = 75 * time.Millisecond
	samplerYield = 100 * time.Microsecond
	samplerKeys  = 100
)

// sample removes some expired keys: constant work, whatever their number, and the lock is free between looks.
func (s *store) sample() {
	began := time.Now()
	for _, d := range s.dbs {
		for !s.lazyOnly.Load() && !s.isFrozen() && d.sampleOnce(s) && time.Since(began) < samplerTime {
			time.Sleep(samplerYield)
		}
	}
}

// sampleOnce looks at a few keys and tells whether looking again pays.
func (d *db) sampleOnce(s *store) (again bool) {
	s.Lock()
	defer s.unlock()
	now, dead, ttl, looks := s.clock.millis(), 0, int64(0), min(samplerKeys, d.mortal.n)
	for range looks {
		key := d.mortal.random()
		if it := d.keys.get(key); it.dead(now) {
			s.expire(d, key)
			dead++
		} else {
			ttl += it.deadline - now
		}
	}
	d.ttl = ttl / int64(max(1, looks-dead))
	return dead > looks/10
}

// drop removes a key that no command removes, and expire does so when its time has come.
func (s *store) expire(d *db, key string) { s.drop(d, key, &s.expired, 'x', "expired") }
func (s *store) drop(d *db, key string, count *atomic.Int64, class byte, event string) {
	d.remove(key)
	s.touched(d, key, nil)
	count.Add(1)
	s.notify(d, class, event, key)
}

const (
	evictKeys  = 10  // at most, while the lock is held
	entryBytes = 120 // that a key takes beside what it and its value say
)

// evict removes a few keys while memory is short, and tells whether there is or will be enough for a command.
func (s *store) evict(policy string) (enough bool) {
	s.Lock()
	defer s.unlock()
	for range evictKeys {
		if s.excess.Load() <= 0 || s.isFrozen() {
			return true
		}
		d, key := s.victim(policy)
		if d == nil {
			return false
		}
		bytes := int64(len(key) + d.keys.get(key).size() + entryBytes)
		s.excess.Add(-bytes)
		s.freed.Add(bytes)
		s.drop(d, key, &s.evicted, 'e', "evicted")
	}
	return true
}

// victim returns the key to evict: of a few random ones the one not used for longest, or the first to expire.
func (s *store) victim(policy string) (from *db, victim string) {
	which, how, _ := strings.Cut(policy, "-")
	draws, lowest := map[string]int{"lru": 5, "ttl": 5, "random": 1}[how], int64(math.MaxInt64)
	for _, d := range s.dbs {
		pool := either(which == "volatile", d.mortal.n, d.keys.n)
		draw := either(which == "volatile", d.mortal.random, d.keys.random)
		for range min(pool, draws) {
			key := draw()
			it := d.keys.get(key)
			if rank := either(how == "ttl", it.deadline, int64(it.access)); rank < lowest {
				from, victim, lowest = d, key, rank
			}
		}
	}
	return from, victim
}

// --- algorithms --------------------------------------------------------------

func oneIf(so bool) int { return either(so, 1, 0) }
func either[T any](so bool, a, b T) T {
	if so {
		return a
	}
	return b
}

// match tells whether s matches a pattern as KEYS has it: * ? [a-z] [^a] and \ before a byte that means
// itself. It looks back to the last * only, so that no pattern takes more than len(pattern) * len(s) steps.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // where the last * stands, and what it stands for ends
	for i < len(s) {
		size, ok := matchOne(pattern[p:], s[i])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case ok:
			p += size
			i++
		case star >= 0: // the last * stands for one byte more
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches a byte with the beginning of a pattern, whose size it tells. A class may lack its ].
func matchOne(pattern string, c byte) (size int, ok bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	case pattern[0] != '[':
		return 1, pattern[0] == c
	}
	found, not := false, strings.HasPrefix(pattern, "[^")
	p := 1 + oneIf(not)
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		escaped := pattern[p] == '\\' && p+1 < len(pattern)
		p += oneIf(escaped)
		from, isRange := pattern[p], !escaped && p+2 < len(pattern) && pattern[p+1] == '-'
		p += 2 * oneIf(isRange)
		found = found || min(from, pattern[p]) <= c && c <= max(from, pattern[p])
	}
	return min(p+1, len(pattern)), found != not
}

// span turns indexes, inclusive and from the end when negative, into the half-open 0 <= i <= j <= n.
func span(start, stop int64, n int) (i, j int) {
	size := int64(n)
	start = max(start+either(start < 0, size, 0), 0)
	stop = min(stop+either(stop < 0, size, 0), size-1)
	if start > stop {
		return 0, 0
	}
	return int(start), int(stop) + 1
}

// textSpan is span for a string, which unlike a list reaches down to its first byte.
func textSpan(start, stop int64, n int) (i, j int) {
	return span(start, either(start >= 0 || start <= stop, max(stop, -int64(n)), stop), n)
}

// positions returns where s stands in a list: from the rank-th match on (from the end when negative), at most
// limit of them, after looking at no more than most elements; 0 is no limit.
func positions(l *list, s string, rank int64, limit, most int) (found []int) {
	skip, looked := max(rank, -rank, 1), 0 // the lowest number has no opposite
	for e := range l.span(0, l.n, rank < 0) {
		skip -= int64(oneIf(e == s))
		if e == s && skip <= 0 {
			found = append(found, either(rank < 0, l.n-1-looked, looked))
		}
		if looked++; looked == most || limit > 0 && len(found) == limit {
			break
		}
	}
	return found
}

type commonRun struct{ a, b, size int } // a piece of a common subsequence that is in both strings in one run

// longestCommonSubsequence takes time and memory in the product of both lengths; the last run comes first.
func longestCommonSubsequence(a, b string) (common string, runs []commonRun) {
	width := len(b) + 1
	best := make([]uint32, (len(a)+1)*width) // best[i*width+j]: for the first i and j bytes
	for i := 1; i <= len(a); i++ {
		for j := 1; j < width; j++ {
			at := i*width + j
			if a[i-1] == b[j-1] {
				best[at] = best[at-width-1] + 1
			} else {
				best[at] = max(best[at-width], best[at-1])
			}
		}
	}
	for i, j := len(a), len(b); i > 0 && j > 0; {
		stop := i
		for i > 0 && j > 0 && a[i-1] == b[j-1] {
			i, j = i-1, j-1
		}
		switch at := i*width + j; {
		case i < stop:
			runs = append(runs, commonRun{i, j, stop - i})
			common = a[i:stop] + common
		case best[at-width] > best[at-1]:
			i--
		default:
			j--
		}
	}
	return common, runs
}
