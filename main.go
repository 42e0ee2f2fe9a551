// Redis Lite is a Redis-compatible server in seven files that needs nothing but Go's standard library.
//
// Read it in the order in which a command travels, for example SET Name John:
//
//   - main.go: each connection has a goroutine, which reads, dispatches and sends the reply;
//   - resp.go: reader.commands takes the three words off the wire;
//   - commands.go: the table finds the row for SET, whose handler is cmdSet;
//   - store.go: the keyspace, a dict, where the string is put;
//   - persist.go: how it comes to the disk, and back after a restart.
//
// To learn with, main.go can print what is said, and play the conversations in testdata, as the tests do.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	redisVersion = "7.0.15" // whose behaviour this is; clients switch features by it
	liteVersion  = "0.1.0"
)

func main() {
	tune()
	s := newServer()
	err := s.config.parseFlags(os.Args[1:])
	if script := s.config.get("replay"); err == nil && script != "" {
		err = replay(script, s.config.get("addr"))
		close(s.done)
	} else if err == nil {
		err = s.start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redis-lite:", err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		slog.Info("Received a signal, shutting down. Once more to exit at once.")
		go s.shutdown(s.config.get("save") != "" && s.config.get("proxy") == "")
		<-signals
		os.Exit(1)
	}()
	<-s.done
}

// tune fits Go's runtime to a server that shares its machine with its clients.
func tune() {
	// Half of the processors are left to the clients beside us: to compete with them costs more than it wins.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
	// To wake the monitor thread of Go's runtime costs a tenth of all we do. Asked to trace the scheduler it
	// does not fall asleep: we ask for a line in 24 days, as only the environment at the start can.
	if path, err := os.Executable(); err == nil && os.Getenv("GODEBUG") == "" {
		os.Setenv("GODEBUG", "schedtrace="+strconv.Itoa(math.MaxInt32))
		syscall.Exec(path, os.Args, os.Environ()) // if it cannot, we go on as we are
	}
}

// --- configuration -----------------------------------------------------------

// A setting is a flag, if it has a usage, and CONFIG SET changes it, unless it is fixed; as in redis.conf.
type setting struct {
	name, value, usage string // value: the default
	check              check
	fixed              string // why CONFIG SET refuses it: it could put the dump over any file, for one
}

// A check returns a value as it is kept, and what is wrong with it.
type check func(v string) (kept, complaint string)

var settings = []setting{
	{"bind", "127.0.0.1", "address to listen on; * is every address", anyText, "immutable"},
	{"port", "6379", "TCP port; 0 takes any that is free", number(0, 65535), "immutable"},
	{"dir", ".", "folder of the dump", folder, "protected"},
	{"dbfilename", "dump.gob", "file name of the dump", fileName, "protected"},
	{"save", "3600 1 300 100 60 10000", `when to save, seconds and changes; "" is never`, savePoints, ""},
	{"requirepass", "", "password that clients must give", anyText, ""},
	{"maxclients", "10000", "most clients at once", number(1, 1<<32-1), ""},
	{"timeout", "0", "seconds that a client may be idle; 0 is for ever", number(0, 1<<31-1), ""},
	{"maxmemory", "0", "bytes that the data may take, like 100mb; 0 is no limit", memorySize, ""},
	{"maxmemory-policy", "noeviction", "which keys make room: allkeys- or volatile-lru, or -random, " +
		"volatile-ttl, or noeviction", oneOf("volatile-lru volatile-random volatile-ttl allkeys-lru " +
		"allkeys-random noeviction"), ""},
	{"loglevel", "notice", "debug, verbose, notice or warning", oneOf("debug verbose notice warning"), ""},
	{"enable-debug-command", "no", "who may DEBUG: no, local, yes", oneOf("no yes local"), "immutable"},
	{"trace", "no", "print what clients and server say to each other", oneOf("no yes"), ""},
	{"chop", "0", "most bytes to read at once while tracing; 0 is no limit", number(0, bulkMax), ""},
	{"delay", "0", "milliseconds to wait before each read while tracing", number(0, 60000), ""},
	{"replay", "", "play conversations to the server at -addr, which may lose keys", anyText, "immutable"},
	{"addr", "127.0.0.1:6379", "host:port of that server", anyText, "immutable"},
	{"proxy", "", "host:port of another server to trace, and to be nothing else", anyText, "immutable"},
	{"databases", strconv.Itoa(databases), "", number(databases, databases), "immutable"},
	{"appendonly", "no", "", oneOf("no"), "immutable"},
	{"proto-max-bulk-len", strconv.Itoa(bulkMax), "", number(bulkMax, bulkMax), "immutable"},
	{"notify-keyspace-events", "", "", eventClasses, ""},
	{"slowlog-log-slower-than", "10000", "", number(-1, math.MaxInt64), ""},
	{"slowlog-max-len", "128", "", number(0, math.MaxInt32), ""},
	{"stop-writes-on-bgsave-error", "yes", "", oneOf("yes no"), ""},
	{"stream-node-max-entries", "100", "", number(0, math.MaxInt32), ""},
	{"tracking-table-max-keys", "1000000", "", number(0, math.MaxInt32), ""},
}

func anyText(v string) (kept, complaint string) { return v, "" }

func number(low, high int64) check {
	bounds := fmt.Sprintf("argument must be between %d and %d inclusive", low, high)
	return func(v string) (string, string) {
		n, ok := parseInt(v)
		complaint := either(n < low || n > high, bounds, "")
		return v, either(ok, complaint, "argument couldn't be parsed into an integer")
	}
}

func oneOf(words string) check {
	complaint := either(words == "yes no", "argument must be 'yes' or 'no'",
		"argument(s) must be one of the following: "+strings.ReplaceAll(words, " ", ", "))
	return func(v string) (string, string) {
		v = strings.ToLower(v)
		return v, either(slices.Contains(strings.Fields(words), v), "", complaint)
	}
}

func folder(v string) (kept, complaint string) {
	v, _ = filepath.Abs(v)
	_, err := os.ReadDir(v)
	return v, either(err == nil, "", fmt.Sprint(err))
}

func fileName(v string) (kept, complaint string) {
	return v, either(v != "" && v == filepath.Base(v), "", "dbfilename can't be a path, just a filename")
}

// memorySize reads bytes, or a number of k, kb, m, mb, g or gb: 1mb is 1024 kb, and 1m is 1000 k. None is 0.
func memorySize(v string) (kept, complaint string) {
	digits := strings.TrimRight(v, "bkmgBKMG")
	n, err := strconv.ParseUint(cmp.Or(digits, "0"), 10, 63)
	unit := map[string]uint64{"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20,
		"g": 1e9, "gb": 1 << 30}[strings.ToLower(v[len(digits):])]
	bad := err != nil || unit == 0 || n > math.MaxInt64/max(unit, 1)
	return strconv.FormatUint(n*unit, 10), either(bad, "argument must be a memory value", "")
}

// savePoints reads pairs: after so many seconds, at least 1, if there were so many changes.
func savePoints(v string) (kept, complaint string) {
	words := strings.Fields(v)
	bad := len(words)%2 != 0
	for i, word := range words {
		n, ok := parseInt(word)
		bad = bad || !ok || n < int64(1-i%2)
	}
	return strings.Join(words, " "), either(bad, "Invalid save parameters", "")
}

// eventClasses reads in letters which keyspace notifications are wanted, and puts them in Redis's order.
func eventClasses(v string) (kept, complaint string) {
	const types, all = "g$lshzxetd", "g$lshzxetdnKEm" // A stands for types
	v = strings.ReplaceAll(v, "A", types)
	bad := strings.Trim(v, all) != ""
	kept = strings.Map(func(c rune) rune { return either(strings.ContainsRune(v, c), c, -1) }, all)
	kept = strings.Replace(kept, types, "A", 1)
	return kept, either(bad, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.", "")
}

// logLevels are what Redis's names are for log/slog.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "verbose": slog.LevelInfo - 2,
	"notice": slog.LevelInfo, "warning": slog.LevelWarn}

// config holds the values of the settings, and once more those that are looked at with every command.
type config struct {
	values sync.Map               // name to value
	events atomic.Pointer[string] // notify-keyspace-events
	slow   atomic.Int64           // slowlog-log-slower-than, in µs
}

// int returns the number that a setting is, and get its value.
func (c *config) int(name string) int64 { n, _ := parseInt(c.get(name)); return n }
func (c *config) get(name string) string {
	v, _ := c.values.Load(name)
	s, _ := v.(string)
	return s
}

func (c *config) set(name, value string) {
	c.values.Store(name, value)
	events := c.get("notify-keyspace-events")
	c.events.Store(&events)
	c.slow.Store(c.int("slowlog-log-slower-than"))
	slog.SetLogLoggerLevel(logLevels[c.get("loglevel")])
}

func (c *config) parseFlags(args []string) error {
	flags := flag.NewFlagSet("redis-lite", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	help := "Redis Lite " + liteVersion + ", a small Redis " + redisVersion + ". Usage: redis-lite [flags]\n"
	for _, s := range settings {
		if s.usage == "" {
			continue
		}
		help += fmt.Sprintf("\n  -%-21s %s (default %q)", s.name, s.usage, s.value)
		bare := s.name == "trace" // is a flag without a value
		either(bare, flags.BoolFunc, flags.Func)(s.name, s.usage, func(v string) error {
			v, complaint := s.check(either(bare && v == "true", "yes", v))
			c.set(s.name, v)
			return either(complaint != "", errors.New(complaint), nil)
		})
	}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println(help)
		os.Exit(0)
	}
	return either(err == nil && flags.NArg() > 0, fmt.Errorf("unexpected argument %q", flags.Arg(0)), err)
}

// --- server ------------------------------------------------------------------

// A server owns the store and the connections.
type server struct {
	store    *store
	config   *config
	saver    saver
	listener net.Listener
	started  time.Time
	done     chan struct{} // closed when the shutdown is complete
	stopping atomic.Bool
	awake    atomic.Int32 // connections that are not in Read

	hits, misses, accepted, refused atomic.Int64
	clientIDs, slowIDs              atomic.Int64        // how many were given out
	interested                      [kinds]atomic.Int32 // how many there are of each kind
	measured, gone                  atomic.Int64        // of maxmemory: bytes used, and what changed by then
	allStop                         atomic.Bool         // a pause goes for all commands, not only for writes
	acting                          *conn               // whose command has the store's lock

	mu      sync.Mutex // guards what follows, and what clients tell of each other
	clients map[int64]*conn
	topics  [kinds]registry[*conn] // who is interested in what
	slowlog []any                  // the commands that took longest, as SLOWLOG GET returns them
	running sync.WaitGroup         // the connections
}

func newServer() *server {
	s := &server{store: newStore(), config: &config{}, started: time.Now(), done: make(chan struct{}),
		clients: make(map[int64]*conn)}
	for _, setting := range settings {
		v, _ := setting.check(setting.value)
		s.config.set(setting.name, v)
	}
	for kind := range s.topics {
		s.topics[kind] = make(registry[*conn])
	}
	s.store.notify, s.store.onUnlock = s.notify, s.announce
	s.saver.last.Store(s.started.Unix())
	return s
}

// start loads the dump, listens, and serves in the background.
func (s *server) start() error {
	proxy, loaded, err := s.config.get("proxy"), 0, error(nil)
	if proxy == "" {
		loaded, err = s.load(s.store)
	}
	if err == nil {
		host := strings.Trim(s.config.get("bind"), "*")
		s.listener, err = net.Listen("tcp", net.JoinHostPort(host, s.config.get("port")))
	}
	if err != nil {
		return err
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	if to, _ := net.ResolveTCPAddr("tcp", proxy); proxy != "" && (to == nil || to.String() == addr.String()) {
		return fmt.Errorf("there is no other server at %s", proxy)
	}
	slog.Info(fmt.Sprintf("Redis Lite %s (Redis %s) listens on %s, pid %d, %s", liteVersion, redisVersion,
		addr, os.Getpid(), either(proxy != "", "in front of "+proxy, fmt.Sprintf("%d keys loaded", loaded))))
	slog.Info(fmt.Sprintf("Try:  redis-cli -p %d SET Name John", addr.Port))
	slog.Info(fmt.Sprintf("      redis-benchmark -p %d -t set,get -q", addr.Port))
	slog.Info(fmt.Sprintf("      printf 'GET Name\\r\\nQUIT\\r\\n' | nc %s %d", addr.IP, addr.Port))
	go s.accept()
	go s.cron()
	return nil
}

func (s *server) accept() {
	for {
		switch socket, err := s.listener.Accept(); {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors, most likely
			slog.Warn("Accepting a connection failed", "err", err)
			time.Sleep(100 * time.Millisecond)
		case s.config.get("proxy") != "":
			go s.relay(socket)
		case !s.admit(socket):
			s.refused.Add(1)
			socket.SetWriteDeadline(time.Now().Add(time.Second))
			io.WriteString(socket, "-ERR max number of clients reached\r\n")
			socket.Close()
		}
	}
}

// admit registers a new connection and begins to serve it, unless there are too many.
func (s *server) admit(socket net.Conn) bool {
	s.accepted.Add(1)
	c, most := newConn(s, socket), int(s.config.int("maxclients"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= most || s.stopping.Load() {
		return false
	}
	c.id = s.clientIDs.Add(1)
	s.clients[c.id] = c
	s.awake.Add(1)
	s.running.Go(c.serve)
	return true
}

// cron does ten times a second what must be done from time to time.
func (s *server) cron() {
	for {
		select {
		case <-time.After(samplerPause):
		case <-s.done:
			return
		}
		s.store.sample()
		s.relieve()
		s.saveIfDue()
		s.dropIdle(s.config.int("timeout") * 1000)
	}
}

// relieve keeps to maxmemory. Only a collection of garbage tells what is used; the limit given to Go has it
// collect whenever about a quarter of maxmemory was allocated. What is too much is then evicted, and a
// sixteenth more, here and by each command that needs memory before it runs.
func (s *server) relieve() {
	limit := min(s.config.int("maxmemory"), 1<<60)
	used, _, other, _ := memory()
	if s.measured.Swap(used) != used { // what was evicted before is no longer in it
		s.store.freed.Store(0)
	}
	over := used - s.store.freed.Load() - limit
	s.store.excess.Store(either(limit > 0 && over > 0, over+limit/16, 0))
	debug.SetMemoryLimit(either(limit > 0, max(limit, used)+limit/4+other, memoryLimit))
	for s.store.excess.Load() > 0 && !s.store.isFrozen() && s.store.evict(s.config.get("maxmemory-policy")) {
		runtime.Gosched()
	}
	gone := s.store.changes.Load() + s.store.expired.Load()
	if s.store.excess.Load() > 0 && s.gone.Swap(gone) != gone { // commands are refused until this shows
		go runtime.GC()
	}
}

var memoryLimit = debug.SetMemoryLimit(-1) // that GOMEMLIMIT asked for

// memory tells the bytes of the heap in use when garbage was last collected, those in use or garbage
// now, others that are not free, such as stacks, and all that the process holds.
func memory() (used, heap, other, held int64) {
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	bytes := func(i int) int64 { return int64(m[i].Value.Uint64()) }
	heap, held = bytes(1), bytes(3)-bytes(4)
	return cmp.Or(bytes(0), heap), heap, held - heap - bytes(2), held // at first nothing was collected yet
}

// dropIdle disconnects clients that said nothing for so many ms, but not those that wait for something.
func (s *server) dropIdle(limit int64) {
	now := s.store.clock.millis()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		waits := c.blocked.Load() || c.subscriptions() > 0 || len(c.topics[monitors]) > 0
		if limit > 0 && now-c.active.Load() > limit && !waits {
			c.Close()
		}
	}
}

// shutdown saves if asked to, and begins the end. When it cannot save the server goes on serving.
func (s *server) shutdown(save bool) (begun bool) {
	if !s.stopping.CompareAndSwap(false, true) {
		return false // somebody else began it
	}
	if save && s.save() != nil {
		s.stopping.Store(false)
		slog.Error("Cannot save, and so goes on")
		return false
	}
	go s.finish(save)
	return true
}

// finish lets clients finish, for a second at most, saves what they still changed, and closes done.
func (s *server) finish(save bool) {
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.clients {
		c.SetReadDeadline(time.Unix(1, 0)) // whoever waits for a command wakes up, and leaves
	}
	s.mu.Unlock()
	ctx, finished := context.WithTimeout(context.Background(), time.Second)
	go func() { s.running.Wait(); finished() }()
	<-ctx.Done()
	if save && s.store.changes.Load() > 0 && s.save() != nil { // made while we took leave
		slog.Error("The last changes are lost", "changes", s.store.changes.Load())
	}
	slog.Info("Bye")
	close(s.done)
}

// --- connections -------------------------------------------------------------

// A conn is one client, run by a goroutine of its own, and by who serves it while it is blocked in a command.
type conn struct {
	net.Conn
	server  *server
	store   *store
	id      int64
	created int64 // Unix ms
	in      *reader
	out     writer  // replies that were not sent yet
	req     request // of the command that runs now; made once
	outbox  outbox
	closing bool // to be closed when the replies are sent
	muted   int  // how many more commands get no reply, as CLIENT REPLY asked
	watcher watcher
	caching bool // CLIENT CACHING makes an exception for the next command or transaction
	aborted bool // a command between MULTI and EXEC was refused

	waiter  *waiter       // while a command blocks
	none    func(*writer) // what it answers when it was in vain; nil once it was served
	late    writer        // its reply, by whoever serves it under the store's lock
	blocked atomic.Bool

	clock   time.Time               // when the last command ended; zero after a wait
	active  atomic.Int64            // Unix ms of the last read
	command atomic.Pointer[command] // the last command

	// What other clients may ask for changes only under server.mu.
	db       *db
	name     string
	lib      [2]string // name and version of the client library
	queue    []request // MULTI, and the commands after it until EXEC
	speaking int       // RESP 2 or 3
	noEvict  bool
	topics   [kinds]map[string]bool // what it is interested in
	tracking tracking
}

func newConn(s *server, socket net.Conn) *conn {
	c := &conn{Conn: socket, server: s, store: s.store, created: s.store.clock.millis()}
	c.active.Store(c.created)
	c.in = newReader(c)
	if s.config.get("trace") == "yes" {
		c.Conn = &tap{Conn: socket, config: s.config, reader: c.in}
	}
	c.in.guest = s.config.get("requirepass") != ""
	c.req.conn, c.db, c.speaking = c, s.store.dbs[0], 2
	return c
}

// serve is the life of a connection.
func (c *conn) serve() {
	defer c.Close()
	defer c.farewell()
	for {
		batch, err := c.in.commands()
		trace, traced := c.Conn.(*tap)
		if err != nil {
			if broken := protocolError(""); errors.As(err, &broken) {
				slog.Log(context.Background(), logLevels["verbose"], broken.Error(), "client", c.RemoteAddr())
				c.out.err("ERR " + broken.Error())
				if traced {
					trace.breach(broken)
				}
			}
			return
		}
		if traced {
			trace.say("# whole commands: %d, bytes left over: %d", len(batch), c.in.Buffered())
		}
		c.lookAhead(batch)
		c.clock = time.Time{}
		for _, words := range batch {
			c.dispatch(words)
			if c.closing || len(c.out.buf) > outputMax && c.flush() != nil {
				return
			}
		}
	}
}

// lookAhead looks at the strings and members of a pipeline, so that its commands find them in the processor's
// cache: memory, which a GET mostly waits for, serves many looks at a time. Without a sum Go would not look.
func (c *conn) lookAhead(batch [][]string) (sum byte) {
	if len(batch) == 1 && len(batch[0]) < 5 {
		return 0
	}
	c.store.RLock()
	defer c.store.RUnlock()
	keys, items := make([]string, 0, batchMax), make([]*item, 0, batchMax)
	members := make([]entry[map[string]int32], 0, batchMax) // also fields, each with the index it may be in
	for _, words := range batch {
		switch cmd := named(words[0]); {
		case cmd == nil:
		case cmd.group.name == "string":
			keys = cmd.keys.appendTo(keys, words)
		case len(batch) > 1 && len(words) > 2 && cmd.keys.last == 1:
			name := words[either(cmd.group.name == "sorted-set", len(words)-1, 2)]
			members = append(members, entry[map[string]int32]{name, c.db.keys.get(words[1]).index()})
		}
	}
	for _, m := range members { // loops so short that the processor begins the next look before one ends
		sum += byte(m.value[m.key])
	}
	for _, key := range keys {
		items = append(items, c.db.keys.get(key))
	}
	for _, it := range items {
		if it != nil && it.text != "" {
			sum += it.text[0]
		}
	}
	return sum
}

// Read is called when the input buffer runs dry. The moment before we wait for the client is the moment to
// send all that we owe it: a pipeline costs one write, and no reply waits for the rest of a next command.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	runtime.Gosched() // meanwhile more may arrive, which saves the read that finds nothing
	c.server.awake.Add(-1)
	n, err := c.Conn.Read(p)
	if c.server.awake.Add(1) == 1 { // of several that hear something at once Go wakes the first one last
		runtime.Gosched()
	}
	c.active.Store(c.store.clock.millis())
	return n, err
}

// farewell ends what the client takes part in, and waits until all that is owed is sent, but not for ever: it
// may have stopped sending, even in mid-command, and still read. Then it waits a little for the client to go:
// closing with input unread would cut off what was sent. It is deferred, so that it catches a panic, too.
func (c *conn) farewell() {
	if bug := recover(); bug != nil {
		slog.Error("A bug cost a client its connection", "client", c.id, "bug", bug,
			"stack", string(debug.Stack()))
		c.out.buf = nil // it may end in mid-reply
	}
	c.server.awake.Add(-1)
	c.store.Lock()
	c.watcher.unwatch()
	c.store.Unlock()
	c.setShared(func() {
		c.forget(channels, patterns, tracked, prefixes, trackers, monitors)
		delete(c.server.clients, c.id)
	})
	c.flush()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	c.outbox.sending.Wait()
	socket := c.Conn
	if trace, traced := socket.(*tap); traced {
		socket = trace.Conn
		trace.say("gets 0 bytes: the end")
	}
	if tcp, ok := socket.(*net.TCPConn); ok && !c.server.stopping.Load() {
		tcp.CloseWrite()
		c.SetReadDeadline(time.Now().Add(time.Second))
		io.CopyN(io.Discard, tcp, bulkMax)
	}
}

// dispatch runs a command, or puts it into the queue of MULTI, or refuses it.
func (c *conn) dispatch(words []string) {
	cmd, refusal := lookup(words)
	if cmd != nil && cmd != c.command.Load() { // a look costs less than an atomic write
		c.command.Store(cmd)
	}
	if refusal == "" {
		refusal = c.mayRun(cmd)
	}
	if refusal == "" && c.store.frozen.Load() != 0 {
		c.waitOut(cmd)
	}
	if refusal != "" && cmd != nil && cmd.name == "exec" { // the transaction ends even so
		c.store.Lock()
		c.req.discard()
		c.store.Unlock()
		reason := strings.TrimPrefix(string(refusal), "ERR ")
		refusal = errorf("EXECABORT Transaction discarded because of: %s", reason)
	}
	mark := len(c.out.buf)
	switch {
	case cmd == nil && (strings.EqualFold(words[0], "POST") || strings.EqualFold(words[0], "Host:")):
		c.closing = true // HTTP: maybe a web page makes a browser attack
	case refusal != "":
		c.out.err(string(refusal))
		c.aborted = c.queueing()
		if cmd != nil {
			cmd.turns.Add(1)
		}
	case c.queueing() && cmd.flags&unqueued == 0:
		next := request{conn: c, cmd: cmd, words: slices.Clone(words), nested: true}
		if !c.aborted { // else it will not run
			c.setShared(func() { c.queue = append(c.queue, next) })
		}
		c.out.simple("QUEUED")
	default:
		c.req.cmd, c.req.words = cmd, words
		c.req.run(&c.out)
		if c.waiter != nil {
			c.park()
			mark = 0 // what was owed before is sent
		}
		c.req.words = nil
	}
	c.caching = c.caching && (c.queueing() || cmd != nil && strings.HasPrefix(cmd.name, "client|"))
	if c.muted > 0 { // take back what the command wrote
		c.out.buf = c.out.buf[:min(mark, len(c.out.buf))]
		c.muted--
	}
}

// will tells whether a command, or one that EXEC would run, has a flag.
func (c *conn) will(cmd *command, flag flags) bool {
	return cmd.flags&flag != 0 || cmd.name == "exec" &&
		slices.ContainsFunc(c.queue, func(q request) bool { return q.cmd.flags&flag != 0 })
}

// mayRun returns why the command must not run now, as Redis words it.
func (c *conn) mayRun(cmd *command) replyError {
	queued := c.queueing() && !slices.Contains([]string{"exec", "discard", "quit", "reset"}, cmd.name)
	switch config := c.server.config; {
	case c.in.guest && cmd.flags&noAuth == 0:
		return "NOAUTH Authentication required."
	case c.queueing() && cmd.flags&noMulti != 0:
		return "ERR Command not allowed inside a transaction"
	case c.store.excess.Load() > 0 && (queued || c.will(cmd, denyoom)) && // the queue takes memory, too
		!c.store.evict(config.get("maxmemory-policy")):
		return "OOM command not allowed when used memory > 'maxmemory'."
	case c.server.saver.failing.Load() && (c.will(cmd, write) || cmd.name == "ping") &&
		config.get("save") != "" && config.get("stop-writes-on-bgsave-error") == "yes":
		return errSaveFailed
	case c.speaking == 2 && c.subscriptions() > 0 && cmd.flags&besides == 0:
		return errorf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "+
			"are allowed in this context", cmd.name)
	case cmd.flags&debugging != 0:
		who, local := config.get("enable-debug-command"), c.RemoteAddr().(*net.TCPAddr).IP.IsLoopback()
		return either(who == "no" || who == "local" && !local, errNoDebug, "")
	}
	return ""
}

// queueing tells whether the client is behind MULTI, and subscriptions counts its channels and patterns.
func (c *conn) queueing() bool     { return c.queue != nil }
func (c *conn) subscriptions() int { return len(c.topics[channels]) + len(c.topics[patterns]) }

// run runs the command under the lock that its row names. No handler takes the store's lock by itself.
func (r *request) run(w *writer) {
	switch {
	case r.cmd.flags&(write|lockWrite) != 0:
		r.store.Lock()
		defer r.store.unlock()
		r.server.acting = r.conn
	case r.cmd.flags&(readonly|lockRead) != 0:
		r.store.RLock()
		defer r.store.RUnlock()
	}
	r.call(w)
	if r.tracking.on && r.muted == 0 {
		r.handOver() // before anybody can send word that what was read is no longer true
	}
}

// setShared changes what other clients may ask for.
func (c *conn) setShared(change func()) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	change()
}

// waitOut waits while CLIENT PAUSE keeps the command from running.
func (c *conn) waitOut(cmd *command) {
	writes := c.will(cmd, write) || cmd.name == "publish"
	for c.store.isFrozen() && (writes || c.server.allStop.Load()) && !c.server.stopping.Load() {
		c.blocked.Store(true)
		c.flush()
		c.clock = time.Time{}
		time.Sleep(10 * time.Millisecond)
	}
	c.blocked.Store(false)
}

// --- tracing -----------------------------------------------------------------

// A tap is a connection that prints what goes through it.
type tap struct {
	net.Conn
	config  *config
	reader  *reader // of the commands in it, unless it is that of a proxy
	in, out tracer
}

// Read reads no more at once, and no sooner, than the settings chop and delay say.
func (t *tap) Read(p []byte) (int, error) {
	if r := t.reader; r != nil && r.left+r.Buffered() > 0 {
		t.say("# waits: %d bytes kept, %d words announced and missing", r.Buffered(), r.left)
	}
	time.Sleep(time.Duration(t.config.int("delay")) * time.Millisecond)
	n, err := t.Conn.Read(p[:min(len(p), cmp.Or(int(t.config.int("chop")), bulkMax))])
	if n > 0 || err == io.EOF {
		t.say("sends %d bytes%s", n, either(n > 0, t.in.explain(p[:n]), ": the end\n"))
	}
	return n, err
}

func (t *tap) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.say("gets %d bytes%s", n, t.out.explain(b[:n]))
	return n, err
}

// breach shows where the client broke the protocol, with a caret under the first byte that is wrong.
func (t *tap) breach(broken protocolError) {
	b, _ := t.reader.Peek(min(t.reader.Buffered(), shownMax))
	line := string(b[:cmp.Or(slices.Index(b, '\n')+1, len(b))])
	at := oneIf(line[0] == either[byte](t.reader.left > 0, '$', '*'))
	if t.reader.left == 0 && at == 0 { // words: at their end it is clear that quotes are missing
		at = len(line) - 1
	}
	t.say("# %q, at byte %d\n    %s\n%*s\n", broken.Error(), t.in.seen-t.reader.Buffered(),
		appendQuoted(nil, line), 4+len(appendQuoted(nil, line[:at])), "^")
}

// say prints a headline and what belongs to it in one piece, so that nobody else's lines come between.
func (t *tap) say(format string, args ...any) {
	colour := map[byte]string{'s': "32", 'g': "36", '#': "33"}[format[0]] // green, cyan and yellow
	head, text, _ := strings.Cut(fmt.Sprintf(format, args...), "\n")
	head = fmt.Sprint(time.Now().Format("15:04:05.000000 "), t.RemoteAddr(), " ", head)
	out, err := os.Stdout.Stat()
	if err == nil && out.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" {
		head = "\x1b[" + colour + "m" + head + "\x1b[0m"
	}
	os.Stdout.WriteString(head + "\n" + text)
}

// relay carries what a client and the server of -proxy say to each other.
func (s *server) relay(socket net.Conn) {
	defer socket.Close()
	other, err := net.Dial("tcp", s.config.get("proxy"))
	if err != nil {
		slog.Warn("There is no server to trace", "err", err)
		return
	}
	defer other.Close()
	client := &tap{Conn: socket, config: s.config}
	go func() { io.Copy(other, client); other.(*net.TCPConn).CloseWrite() }()
	io.Copy(client, other)
	client.say("gets 0 bytes: the end")
}

// --- conversations -----------------------------------------------------------

// A conversation is what clients send and what the server must answer. README.md has its notation, at Tests.
var (
	exchange = regexp.MustCompile(`^(\w*)(?:(>>?)\s*(.*?))?(?:\s*<(~?)\s+(.*))?$`)
	escapes  = strings.NewReplacer(`\\`, `\\`, `\"`, `\"`, `\|`, `\x7c`, `\?`, `?`, `|`, `\r\n`, `"`, `\"`)
	wildcard = regexp.MustCompile(`(^|\|)([-+:$*_#,(=%~>]?)\?`)
	patience = 5 * time.Second // for a reply, and for a command to block
)

// A player holds conversations with the server at addr.
type player struct {
	addr    string
	pass    func(time.Duration) // lets time pass
	parties map[string]party
}

// A party is a connection of the player.
type party struct {
	net.Conn
	in *reader
}

// replay plays the files that a pattern names to the server at addr, and tells what went wrong.
func replay(pattern, addr string) error {
	names, err := filepath.Glob(pattern)
	for _, name := range names {
		script, problem := os.ReadFile(name)
		complaints := play(addr, string(script), time.Sleep)
		for _, c := range complaints {
			fmt.Printf("%s, %s\n", name, c)
		}
		fmt.Printf("%s: %d answers are not as they should be\n", name, len(complaints))
		bad := either(complaints != nil, errors.New("some answers are not as they should be"), nil)
		err = cmp.Or(err, problem, bad)
	}
	return either(err == nil && names == nil, fmt.Errorf("there is no file %s", pattern), err)
}

// play holds the conversations of a script, and returns a complaint for each answer that was not wanted.
// After one that cannot be read, the rest of that conversation is left out.
func play(addr, script string, pass func(time.Duration)) (complaints []string) {
	p, skip, title := player{addr, pass, make(map[string]party)}, false, ""
	for i, line := range strings.Split(script, "\n") {
		line, _, _ = strings.Cut(" "+line+" ", " # ")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "==") {
			p.hangUp()
			skip, title = false, strings.TrimSuffix(strings.Trim(line, "= "), " [bare]")
			line = either(strings.HasSuffix(line, "[bare]"), "", "> FLUSHALL < +OK|")
		}
		if line == "" || skip {
			continue
		}
		said, want, _ := strings.Cut(line, "<")
		got, err := p.step(line)
		if skip = err != nil; skip {
			got = strings.TrimSpace(got + " " + err.Error())
		}
		if got != "" {
			complaints = append(complaints, fmt.Sprintf("line %d, %s: %s\n\twant%s\n\tgot  %s",
				i+1, title, strings.TrimSpace(said), want, got))
		}
	}
	p.hangUp()
	return complaints
}

// hangUp waits until the server, too, has ended all connections.
func (p *player) hangUp() {
	for _, c := range p.parties {
		c.Conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
	}
	p.parties = make(map[string]party)
}

// party returns the connection of that name, and makes it when there is none.
func (p *player) party(name string) (c party, err error) {
	c, ok := p.parties[name]
	if !ok {
		if c.Conn, err = net.Dial("tcp", p.addr); err != nil {
			return c, err
		}
		c.in = newReader(c)
		p.parties[name] = c
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}

// step plays one line, and returns an answer that was not wanted. An error ends the conversation.
func (p *player) step(line string) (got string, err error) {
	if pause, ok := strings.CutPrefix(line, "+ "); ok {
		d, err := time.ParseDuration(pause)
		p.pass(d)
		return "", err
	}
	m := exchange.FindStringSubmatch(line)
	if m == nil || m[2]+m[5] == "" {
		return "", errors.New("not a line of a conversation")
	}
	name, arrow, sent, order, want := m[1], m[2], m[3], m[4], m[5]
	c, err := p.party(name)
	if err != nil {
		return "", err
	}
	var command writer
	words, _ := splitWords(sent)
	command.bulks(words)
	switch _, err = io.WriteString(c, either(arrow == ">", string(command.buf), toWire(sent))); {
	case err != nil || want == "":
		return "", err
	case want == "blocks":
		return "", p.awaitBlock(c)
	case want == "closed":
		got, err = c.in.message()
		return either(err == nil, notation(got), ""), either(errors.Is(err, os.ErrDeadlineExceeded), err, nil)
	}
	return c.expect(want, order != "")
}

// awaitBlock waits until the server says that c is blocked: what others send next must find it waiting.
func (p *player) awaitBlock(c party) error {
	blocked := regexp.MustCompile(" addr=" + regexp.QuoteMeta(c.LocalAddr().String()) + " .* flags=\\w*b")
	observer, err := p.party(" ")
	for began := time.Now(); err == nil && time.Since(began) < patience; time.Sleep(time.Millisecond) {
		io.WriteString(observer, "CLIENT LIST\r\n")
		list, problem := observer.in.message()
		if err = problem; blocked.MatchString(list) {
			return nil
		}
	}
	return cmp.Or(err, errors.New("it does not block"))
}

// expect reads as many replies as are wanted, and returns them if they differ. On the wire +?: stands for :?.
func (c party) expect(want string, anyOrder bool) (got string, err error) {
	wire := toWire(wildcard.ReplaceAllString(want, "$1+?$2"))
	wanted := newReader(strings.NewReader(wire))
	for part, err := wanted.message(); part != ""; part, err = wanted.message() {
		if err != nil || !strings.HasSuffix(part, "\r\n") {
			return "", errors.New("what is wanted is no reply")
		}
		answer, err := c.in.message()
		if got += answer; err != nil {
			return notation(got), err
		}
	}
	lines := func(s string) []string { return slices.Sorted(strings.SplitSeq(s, "\r\n")) }
	pattern := regexp.MustCompile(`\\\+\\\?(\\?.?)\r\n`).ReplaceAllString(regexp.QuoteMeta(wire), "$1.*?\r\n")
	fits, _ := regexp.MatchString("(?s)^"+pattern+"$", got)
	same := got == wire || fits || anyOrder && slices.Equal(lines(got), lines(wire))
	return either(same, "", notation(got)), nil
}

// toWire turns the notation of conversations into what goes over the wire, and notation turns it back.
func toWire(s string) string {
	wire, err := strconv.Unquote(`"` + escapes.Replace(s) + `"`)
	return either(err == nil, wire, s)
}

func notation(wire string) string {
	quoted := strings.Trim(string(appendQuoted(nil, wire)), `"`)
	return strings.NewReplacer(`\\`, `\\`, `\"`, `"`, `|`, `\|`, `\r\n`, `|`).Replace(quoted)
}

// --- delivery ----------------------------------------------------------------

// An outbox sends what is owed to one client. The connection's own goroutine writes to the socket while it
// takes all at once; the rest is left to a goroutine of the outbox, so that reading goes on. Many libraries
// send a whole pipeline before they read: to wait for them while they wait for us would be for ever.
type outbox struct {
	mu      sync.Mutex
	owed    [][]byte       // in chunks: growing one of many megabytes would stop everybody
	bytes   int            // in all of them, and in the one that is being sent
	writing bool           // somebody writes to the socket right now
	sending sync.WaitGroup // the outbox's own goroutine, when there is one
	err     error          // of the last write: nothing can be sent any more
	behind  int64          // Unix time in seconds since when it owes a subscriber much
	patient int64          // Unix ms until which a write may block before it gives up
}

const (
	outboxMax     = 1 << 30 // bytes owed to a client that does not read, before it is disconnected
	blockAtLeast  = 50      // ms that a write may block the reading of commands
	blockDeadline = 250     // ms after which it surely no longer does
)

// flush sends c.out, or leaves it to the outbox, as handOver always does, out of the reach of CLIENT REPLY.
func (c *conn) flush() error { return c.send(true) }
func (c *conn) handOver()    { c.send(false) }

func (c *conn) send(atOnce bool) error {
	b, o := c.out.buf, &c.outbox
	if len(b) == 0 {
		return nil
	}
	c.out.buf = either(cap(b) > 2*outputMax, nil, b[:0])
	o.mu.Lock()
	defer o.mu.Unlock()
	if !atOnce || o.writing || o.err != nil {
		return c.owe(b)
	}
	// Moving a deadline costs as much as a small write, so it is not moved each time, but when it comes near.
	if now := c.active.Load(); now > o.patient-blockAtLeast {
		o.patient = now + blockDeadline
		c.SetWriteDeadline(time.Now().Add(blockDeadline * time.Millisecond))
	}
	n, _ := c.write(b)
	if rest := b[n:]; len(rest) > 0 { // before the messages of others that came while we wrote
		o.owed = slices.Insert(o.owed, 0, slices.Clone(rest))
		o.bytes += len(rest)
	}
	return c.owe(nil)
}

// write writes to the socket. The outbox's mutex is held, but not meanwhile. A deadline is no error.
func (c *conn) write(b []byte) (n int, err error) {
	o := &c.outbox
	o.writing = true
	o.mu.Unlock()
	n, err = c.Conn.Write(b)
	o.mu.Lock()
	o.writing, o.err = false, either(errors.Is(err, os.ErrDeadlineExceeded), nil, err)
	return n, err
}

// owe adds to what the outbox owes, whose mutex is held, and has it sent.
func (c *conn) owe(b []byte) error {
	o := &c.outbox
	if last := len(o.owed) - 1; last >= 0 && len(o.owed[last]) < outputMax {
		o.owed[last] = append(o.owed[last], b...)
	} else if len(b) > 0 {
		o.owed = append(o.owed, slices.Clone(b))
	}
	if o.bytes += len(b); o.bytes > outboxMax && o.err == nil {
		o.err = errors.New("client does not read its replies")
		c.Close()
	}
	if len(o.owed) > 0 && !o.writing && o.err == nil {
		o.writing = true
		c.SetWriteDeadline(time.Time{})
		o.sending.Go(c.deliver)
	}
	return o.err
}

// deliver sends what the outbox owes until it owes nothing.
func (c *conn) deliver() {
	o := &c.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.owed) > 0 && o.err == nil {
		b := o.owed[0]
		o.owed[0], o.owed = nil, o.owed[1:]
		if _, err := c.write(b); err != nil {
			c.Close()
		}
		o.bytes -= len(b)
	}
	o.writing, o.patient = false, 0
}

// post sends what is no reply, never waits, and disconnects a subscriber too far behind. server.mu is held.
func (c *conn) post(message []byte) {
	const hard, soft, patience = 32 << 20, 8 << 20, 60 // bytes, bytes for so many seconds
	o, now := &c.outbox, time.Now().Unix()
	o.mu.Lock()
	defer o.mu.Unlock()
	c.owe(message)
	o.behind = either(o.bytes < soft || o.behind == 0, now, o.behind)
	if c.subscriptions() > 0 && (o.bytes > hard || o.bytes > soft && now-o.behind > patience) {
		go slog.Warn("A subscriber does not keep up, and is disconnected", "client", c.RemoteAddr())
		c.Close()
	}
}

// --- blocking ----------------------------------------------------------------

// park waits until the command that blocks is served: whoever fills a key runs it again. Meanwhile it reads
// on, to learn when the client hangs up; what arrives stays in the buffer, until that is full.
func (c *conn) park() {
	err := c.flush()
	limit, _ := c.waiter.Deadline()
	c.SetReadDeadline(limit) // whoever serves us moves it, too, after the context has ended
	for err == nil && c.waiter.Err() == nil && c.in.Buffered() < c.in.Size() {
		_, err = c.in.Peek(c.in.Buffered() + 1)
	}
	if err == nil { // it was served, or the buffer is full
		<-c.waiter.Done()
	}
	c.blocked.Store(false)
	c.store.Lock()
	defer c.store.Unlock()
	c.closing = err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || c.server.stopping.Load()
	c.unblock(either(c.closing, func(*writer) {}, c.none))
	c.SetReadDeadline(time.Time{})
	c.out.buf = append(c.out.buf, c.late.buf...)
	c.late.buf, c.waiter, c.clock = nil, nil, time.Time{}
}

// unblock ends the waiting of a client, if it waits, with a reply that tells it why. The store is locked.
func (c *conn) unblock(reply func(w *writer)) (waited bool) {
	if waited = c.none != nil; waited { // else it does not, or was served
		reply(&c.late)
		c.waiter.leave()
	}
	return waited
}

// --- pub/sub -----------------------------------------------------------------

// The kinds of topics that clients are interested in. The last two have one topic, "".
const (
	channels = iota
	patterns
	tracked  // keys, for TRACKING
	prefixes // of keys, for TRACKING BCAST
	trackers // all who use TRACKING
	monitors // and MONITOR
	kinds
)

// subscribe adds topics to those of a client, and unsubscribe removes some. The server's mutex is held.
func (c *conn) subscribe(kind int, topics ...string) {
	if c.topics[kind] == nil {
		c.topics[kind] = make(map[string]bool)
	}
	for _, topic := range topics {
		c.server.interested[kind].Add(int32(oneIf(!c.topics[kind][topic])))
		c.server.topics[kind].add(topic, c)
		c.topics[kind][topic] = true
	}
}

func (c *conn) unsubscribe(kind int, topics ...string) {
	for _, topic := range topics {
		c.server.interested[kind].Add(-int32(oneIf(c.topics[kind][topic])))
		c.server.topics[kind].remove(topic, c)
		delete(c.topics[kind], topic)
	}
}

// forget ends the interest in all topics of some kinds.
func (c *conn) forget(kinds ...int) {
	for _, kind := range kinds {
		c.unsubscribe(kind, slices.Collect(maps.Keys(c.topics[kind]))...)
	}
}

// publish posts a message to all who subscribed to the channel, or to a pattern of it, and counts them.
func (s *server) publish(channel, message string) (receivers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	post := func(to map[*conn]bool, parts ...any) {
		for c := range to {
			c.post(c.message(parts...))
			receivers++
		}
	}
	post(s.topics[channels][channel], "message", channel, message)
	for pattern, to := range s.topics[patterns] {
		if match(pattern, channel) {
			post(to, "pmessage", pattern, channel, message)
		}
	}
	return receivers
}

// message builds what is no reply, in the client's dialect.
func (c *conn) message(parts ...any) []byte {
	w := writer{resp3: c.speaking == 3}
	w.push(len(parts))
	w.each(parts...)
	return w.buf
}

// notify publishes what happened to a key, if the setting notify-keyspace-events has the class of the event.
func (s *server) notify(d *db, class byte, event, key string) {
	on := *s.config.events.Load() // where A stands for all classes but m and n
	if on == "" || !strings.ContainsAny(on, string(class)+either(class == 'm' || class == 'n', "", "A")) {
		return
	}
	if strings.Contains(on, "K") {
		s.publish(fmt.Sprintf("__keyspace@%d__:%s", d.id, key), event)
	}
	if strings.Contains(on, "E") {
		s.publish(fmt.Sprintf("__keyevent@%d__:%s", d.id, event), key)
	}
}

// spy shows a command to the clients in MONITOR; not those that administer, and no passwords.
func (r *request) spy(micros int64) {
	if r.server.interested[monitors].Load() == 0 || r.cmd.flags&admin != 0 {
		return
	}
	line := fmt.Appendf(nil, "+%d.%06d [%d %s]", micros/1e6, micros%1e6, r.db.id, r.RemoteAddr())
	for i, word := range r.words {
		line = appendQuoted(append(line, ' '), either(i > 0 && r.cmd.flags&noAuth != 0, "(redacted)", word))
	}
	line = append(line, '\r', '\n')
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for c := range r.server.topics[monitors][""] {
		c.post(line)
	}
}

// --- client side caching -----------------------------------------------------

// tracking is what a client asked for with CLIENT TRACKING: to hear of changes to what it has read.
type tracking struct {
	on, optIn, optOut, noLoop bool
	bcast                     bool  // of all keys with certain prefixes, read or not
	redirect                  int64 // the client that is told instead, or 0
	broken                    bool  // that one is gone
}

func (t *tracking) target() int64 { return either(t.on, t.redirect, -1) }

// setTracking begins or ends tracking. The server's mutex is held.
func (c *conn) setTracking(t tracking, prefix ...string) {
	c.subscribe(trackers, "")
	c.subscribe(prefixes, prefix...)
	c.caching = c.caching && t.on
	if c.tracking = t; !t.on {
		c.forget(tracked, prefixes, trackers)
	}
}

// track notes that the client has read the keys of the command.
func (r *request) track() {
	if t := &r.tracking; !t.bcast && !either(r.caching, t.optOut, t.optIn) {
		r.setShared(func() { r.subscribe(tracked, r.cmd.keys.appendTo(nil, r.words)...) })
	}
}

// announce tells those who track of keys that have changed, or are too many. The store is locked for writing.
func (s *server) announce() {
	if s.interested[trackers].Load() > 0 {
		most := int(s.config.int("tracking-table-max-keys"))
		s.mu.Lock()
		for _, ch := range s.store.changed {
			s.invalidate(ch)
		}
		s.broadcast()
		for key := range s.topics[tracked] {
			if len(s.topics[tracked]) <= cmp.Or(most, math.MaxInt) {
				break
			}
			s.invalidate(change{place{s.store.dbs[0], key}, nil})
		}
		s.mu.Unlock()
	}
	s.acting = nil
}

// invalidate tells the clients that have read a key, who must read it again to hear of its next change; when
// all keys are gone it tells all.
func (s *server) invalidate(ch change) {
	for c := range s.topics[either(ch.db == nil, trackers, tracked)][ch.key] {
		if ch.db == nil {
			c.forget(tracked)
			c.tell(nil)
		} else if !c.tracking.noLoop || ch.by != any(c) {
			c.unsubscribe(tracked, ch.key)
			c.tell([]string{ch.key})
		}
	}
}

// broadcast tells who wants to hear of every key with some prefix, of all that have changed at once.
func (s *server) broadcast() {
	for prefix, clients := range s.topics[prefixes] {
		for c := range clients {
			var keys []string
			for _, ch := range s.store.changed {
				own := c.tracking.noLoop && ch.by == any(c)
				if ch.db != nil && strings.HasPrefix(ch.key, prefix) && !own {
					keys = append(keys, ch.key)
				}
			}
			if slices.Sort(keys); keys != nil {
				c.tell(slices.Compact(keys))
			}
		}
	}
}

// tell sends an invalidation, of all when keys is nil, to the client or whom it names, behind its own reply.
func (c *conn) tell(keys any) {
	to := c.server.clients[cmp.Or(c.tracking.redirect, c.id)]
	if to == nil {
		if c.tracking.broken = true; c.speaking == 3 {
			c.post(c.message("tracking-redir-broken", c.tracking.redirect))
		}
		return
	}
	what := either(to.speaking == 3, []any{"invalidate"}, []any{"message", "__redis__:invalidate"})
	switch message := to.message(append(what, keys)...); {
	case to.speaking == 2 && (to == c || to.subscriptions() == 0): // RESP2 has no other way to say it
	case to == c.server.acting && to.muted == 0:
		to.out.buf = append(to.out.buf, message...)
	case to.waiter != nil && to.waiter.Err() != nil: // it was served, and will soon collect the reply
		to.late.buf = append(to.late.buf, message...)
	default:
		to.post(message)
	}
}

// --- what clients tell of each other -----------------------------------------

// describe returns the line of a client in CLIENT LIST at now, in Unix ms.
func (c *conn) describe(now int64) string {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	flags := cmp.Or(strings.Join(chosen("O", len(c.topics[monitors]) > 0, "P", c.subscriptions() > 0,
		"x", c.queueing(), "b", c.blocked.Load(), "t", c.tracking.on, "R", c.tracking.broken,
		"B", c.tracking.bcast, "e", c.noEvict), ""), "N")
	last := cmp.Or(c.command.Load(), &command{name: "NULL"}).name
	c.outbox.mu.Lock()
	owed := c.outbox.bytes
	c.outbox.mu.Unlock()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=%d "+
		"sub=%d psub=%d ssub=0 multi=%d qbuf=0 qbuf-free=%d argv-mem=0 multi-mem=0 rbs=%d rbp=0 obl=0 "+
		"oll=%d omem=%d tot-mem=%d events=r cmd=%s user=default redir=%d resp=%d lib-name=%s lib-ver=%s",
		c.id, c.RemoteAddr(), c.LocalAddr(), c.name, (now-c.created)/1000, (now-c.active.Load())/1000,
		flags, c.db.id, len(c.topics[0]), len(c.topics[1]), len(c.queue)-1, bufferSize, outputMax,
		min(owed, 1), owed, bufferSize+owed, last, c.tracking.target(), c.speaking, c.lib[0], c.lib[1])
}
