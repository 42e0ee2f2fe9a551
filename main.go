// Redis Lite is a Redis-compatible server in seven files that needs nothing but Go's standard library.
//
// Read it in the order in which a command travels, for example SET Name John:
//
//   - main.go: main starts a server; serve gives each connection a goroutine,
//     which reads a command, dispatches it and sends the reply;
//   - resp.go: reader.command takes the three words off the wire;
//   - commands.go: the table finds the row for SET, whose handler is cmdSet;
//   - store.go: the keyspace, a dict, where the string is put;
//   - persist.go: how it comes to the disk, and back after a restart.
//
// The tests, resp_test.go and store_test.go, play the conversations in testdata.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
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
	"runtime"
	"runtime/debug"
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
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redis-lite:", err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := <-signals
		slog.Info("Received " + sig.String() + ", shutting down. Once more to exit at once.")
		go func() { <-signals; os.Exit(1) }()
		if err := s.shutdown(s.config.get("save") != ""); err != nil {
			slog.Error("Cannot save, and so goes on. Once more to exit without.", "err", err)
		}
	}()
	<-s.done
}

// tune fits Go's runtime to a server that shares its machine with its clients.
func tune() {
	// Half of the processors are left to the clients, which in a demo or a
	// benchmark run beside us: goroutines that compete with them for a processor
	// cost more in wake-ups than they win. GOMAXPROCS overrides it.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2))
	}
	// The monitor thread of Go's runtime falls asleep whenever nothing runs, and the next system call has to
	// wake it: under load some thousand times a second, for a tenth of all we do. It stays awake while it is
	// asked to trace the scheduler, so we ask for a line in 24 days. Only the environment at the start counts.
	if path, err := os.Executable(); err == nil && os.Getenv("GODEBUG") == "" {
		os.Setenv("GODEBUG", "schedtrace="+strconv.Itoa(math.MaxInt32))
		syscall.Exec(path, os.Args, os.Environ()) // if it cannot, we go on as we are
	}
}

// --- configuration -----------------------------------------------------------

// A setting is one thing that can be configured: with a flag of the same name at the start, and with CONFIG
// SET unless it is fixed. Values are written as in redis.conf.
type setting struct {
	name, value, usage string // value: the default
	check              func(value string) (string, error)
	fixed              string // why CONFIG SET refuses it: it could put the dump over any file, for one
}

var settings = []setting{
	{"bind", "127.0.0.1", "address to listen on; an empty one is every address", anyText, "immutable"},
	{"port", "6379", "TCP port; 0 takes any that is free", number(0, 65535), "immutable"},
	{"dir", ".", "folder of the dump", folder, "protected"},
	{"dbfilename", "dump.gob", "file name of the dump", fileName, "protected"},
	{"save", "3600 1 300 100 60 10000", "when to save by itself: pairs of seconds and changes; \"\" is never",
		savePoints, ""},
	{"requirepass", "", "password that clients must give", anyText, ""},
	{"maxclients", "10000", "most clients at once", number(1, 1<<32-1), ""},
	{"timeout", "0", "seconds that a client may be idle; 0 is for ever", number(0, 1<<31-1), ""},
	{"loglevel", "notice", "debug, verbose, notice or warning",
		oneOf("debug", "verbose", "notice", "warning"), ""},
	{"enable-debug-command", "no", "who may use DEBUG: no, local or yes", oneOf("no", "yes", "local"),
		"immutable"},
	{"databases", strconv.Itoa(databases), "", number(databases, databases), "immutable"},
	{"appendonly", "no", "", oneOf("no"), "immutable"},
	{"maxmemory", "0", "", number(0, 0), "immutable"},
	{"proto-max-bulk-len", strconv.Itoa(bulkMax), "", number(bulkMax, bulkMax), "immutable"},
	{"notify-keyspace-events", "", "", eventClasses, ""},
	{"stop-writes-on-bgsave-error", "yes", "", oneOf("yes", "no"), ""},
}

func anyText(v string) (string, error) { return v, nil }

func number(low, high int64) func(string) (string, error) {
	return func(v string) (string, error) {
		n, ok := parseInt(v)
		if !ok {
			return "", errors.New("argument couldn't be parsed into an integer")
		}
		if n < low || n > high {
			return "", fmt.Errorf("argument must be between %d and %d inclusive", low, high)
		}
		return v, nil
	}
}

func oneOf(words ...string) func(string) (string, error) {
	return func(v string) (string, error) {
		if v = strings.ToLower(v); slices.Contains(words, v) {
			return v, nil
		}
		if slices.Equal(words, []string{"yes", "no"}) {
			return "", errors.New("argument must be 'yes' or 'no'")
		}
		return "", errors.New("argument(s) must be one of the following: " + strings.Join(words, ", "))
	}
}

func folder(v string) (string, error) {
	v, err := filepath.Abs(v)
	if err == nil {
		_, err = os.ReadDir(v)
	}
	return v, err
}

func fileName(v string) (string, error) {
	if v == "" || v != filepath.Base(v) {
		return "", errors.New("dbfilename can't be a path, just a filename")
	}
	return v, nil
}

func savePoints(v string) (string, error) {
	_, err := parseSavePoints(v)
	return strings.Join(strings.Fields(v), " "), err
}

// logLevels are Redis's names for what log/slog has as levels.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "verbose": slog.LevelInfo - 2,
	"notice": slog.LevelInfo, "warning": slog.LevelWarn}

// config holds the values of the settings.
type config struct {
	mu     sync.RWMutex
	values map[string]string
	events atomic.Pointer[string] // notify-keyspace-events, which every write looks at
}

func newConfig() *config {
	c := &config{values: make(map[string]string)}
	for _, s := range settings {
		c.values[s.name] = s.value
	}
	c.values["dir"], _ = filepath.Abs(".")
	c.events.Store(new(string))
	return c
}

func (c *config) get(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.values[name]
}

// int returns a setting whose check was number.
func (c *config) int(name string) int64 {
	n, _ := parseInt(c.get(name))
	return n
}

// set gives settings new values, all of them or, with an error, none.
func (c *config) set(values map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, v := range values {
		c.values[name] = v
		switch name {
		case "loglevel":
			slog.SetLogLoggerLevel(logLevels[v])
		case "notify-keyspace-events":
			c.events.Store(&v)
		}
	}
}

// parseFlags reads the command line.
func (c *config) parseFlags(args []string) error {
	flags := flag.NewFlagSet("redis-lite", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	help := "Redis Lite " + liteVersion + ", a small Redis " + redisVersion + ". Usage: redis-lite [flags]\n"
	for _, s := range settings {
		if s.usage == "" {
			continue
		}
		flags.Func(s.name, s.usage, func(v string) error {
			v, err := s.check(v)
			if err == nil {
				c.set(map[string]string{s.name: v})
			}
			return err
		})
		help += fmt.Sprintf("\n  -%-21s %s (default %q)", s.name, s.usage, s.value)
	}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println(help)
	} else if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return err
}

// --- server ------------------------------------------------------------------

// A server owns the store and the connections.
type server struct {
	store    *store
	config   *config
	saver    saver
	listener net.Listener
	started  time.Time
	runID    string        // by which clients tell one run of a server from the next
	done     chan struct{} // closed when the shutdown is complete
	stopping atomic.Bool

	hits, misses, accepted, refused atomic.Int64
	speed                           atomic.Int64 // commands per second, as the cron measured it

	mu      sync.Mutex // guards what follows, and what clients tell of each other
	nextID  int64
	clients map[int64]*conn
	topics  [2]registry[*conn] // who subscribed to a channel, and to a pattern
	spied   atomic.Int32       // clients in MONITOR
	running sync.WaitGroup     // the connections
}

func newServer() *server {
	id := make([]byte, 20)
	rand.Read(id)
	s := &server{store: newStore(), config: newConfig(), started: time.Now(), done: make(chan struct{}),
		clients: make(map[int64]*conn), runID: fmt.Sprintf("%x", id)}
	for kind := range s.topics {
		s.topics[kind] = make(registry[*conn])
	}
	s.store.notify = s.notify
	return s
}

// start loads the dump, listens, and serves in the background.
func (s *server) start() error {
	loaded, err := s.load()
	if err != nil {
		return err
	}
	s.listener, err = net.Listen("tcp", net.JoinHostPort(s.config.get("bind"), s.config.get("port")))
	if err != nil {
		return err
	}
	s.welcome(loaded)
	go s.accept()
	go s.cron()
	return nil
}

// welcome tells where the server listens, and what to try.
func (s *server) welcome(loaded int) {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	slog.Info(fmt.Sprintf("Redis Lite %s (Redis %s) listens on %s, pid %d, %d keys loaded",
		liteVersion, redisVersion, s.listener.Addr(), os.Getpid(), loaded))
	slog.Info(fmt.Sprintf("Try:  redis-cli -p %s SET Name John", port))
	slog.Info(fmt.Sprintf("      redis-benchmark -p %s -t set,get -q", port))
	slog.Info(fmt.Sprintf("      printf 'GET Name\\r\\nQUIT\\r\\n' | nc %s %s", host, port))
}

func (s *server) accept() {
	for {
		socket, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, most likely
			slog.Warn("Accepting a connection failed", "err", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.accepted.Add(1)
		if c := s.admit(socket); c != nil {
			go c.serve()
			continue
		}
		s.refused.Add(1)
		socket.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(socket, "-ERR max number of clients reached\r\n")
		socket.Close()
	}
}

// admit registers a new connection, or returns nil when there are too many.
func (s *server) admit(socket net.Conn) *conn {
	c, most := newConn(s, socket), int(s.config.int("maxclients"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= most || s.stopping.Load() {
		return nil
	}
	s.nextID++
	c.id = s.nextID
	s.clients[c.id] = c
	s.running.Add(1)
	return c
}

// cron does ten times a second what must be done from time to time.
func (s *server) cron() {
	tick := time.NewTicker(samplerPause)
	defer tick.Stop()
	for last := int64(0); ; {
		select {
		case <-tick.C:
		case <-s.done:
			return
		}
		s.store.clock.set()
		s.store.sample()
		s.saveIfDue()
		now := totalCalls()
		s.speed.Store((now - last) * int64(time.Second/samplerPause))
		last = now
		if idle := s.config.int("timeout"); idle > 0 {
			s.dropIdle(idle * 1000)
		}
	}
}

// dropIdle disconnects clients that said nothing for so many ms, but not those that wait for something.
func (s *server) dropIdle(limit int64) {
	now := s.store.clock.millis()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if now-c.active.Load() > limit && !c.waits() {
			c.Close()
		}
	}
}

// shutdown lets every client finish what it has begun, saves if asked to, and closes done. When the dump
// cannot be written it reports that and goes on serving those who come.
func (s *server) shutdown(save bool) error {
	if !s.stopping.CompareAndSwap(false, true) {
		return errors.New("already shutting down")
	}
	if save {
		if err := s.save(true); err != nil {
			s.stopping.Store(false)
			return err
		}
	}
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.clients {
		c.SetReadDeadline(time.Unix(1, 0)) // whoever waits for a command wakes up, and leaves
	}
	s.mu.Unlock()
	finished := make(chan struct{})
	go func() { s.running.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(time.Second):
	}
	s.store.RLock()
	late := s.store.changes // made while we took leave
	s.store.RUnlock()
	if save && late > 0 {
		if err := s.save(true); err != nil {
			slog.Error("The last changes are lost", "changes", late, "err", err)
		}
	}
	slog.Info("Bye")
	close(s.done)
	return nil
}

// --- connections -------------------------------------------------------------

// A conn is one client. Its goroutine reads, dispatches and replies; others touch only what says so.
type conn struct {
	net.Conn
	server  *server
	store   *store
	id      int64
	created int64 // Unix ms
	in      *reader
	out     writer  // replies that were not sent yet
	req     request // of the command that runs now; made once
	ahead   []*item // what lookAhead looks at
	outbox  outbox
	closing bool // to be closed when the replies are sent
	replies replyMode
	watcher watcher

	waiter   *waiter       // while a command blocks, and
	patience time.Duration // for how long at most, 0 for ever
	blocked  atomic.Bool
	late     writer // its reply, by whoever serves it under the store's lock

	queue   []queued // the commands between MULTI and EXEC
	aborted bool     // one of them was refused

	clock   int64                   // Unix time in µs when the last command ended, 0 after a pause
	active  atomic.Int64            // Unix ms of the last command
	command atomic.Pointer[command] // the last command

	// What other clients may ask for changes only under server.mu.
	db       *db
	name     string
	lib      [2]string // name and version of the client library
	queued   int       // the length of queue, -1 outside of MULTI
	noEvict  bool
	spying   bool               // in MONITOR
	topics   [2]map[string]bool // channels and patterns that it subscribed to
	speaking int                // RESP 2 or 3
}

// queued is a command that waits for EXEC.
type queued struct {
	cmd   *command
	words []string
}

// replyMode is what CLIENT REPLY asks for.
type replyMode int

const (
	replyOn replyMode = iota
	replyOff
	replySkipNext // no reply to the next command, for which it becomes
	replySkip     // no reply to this one
)

func newConn(s *server, socket net.Conn) *conn {
	c := &conn{Conn: socket, server: s, store: s.store, created: s.store.clock.millis()}
	c.active.Store(c.created)
	c.in = newReader(c)
	c.in.guest = s.config.get("requirepass") != ""
	c.req.conn = c
	c.db, c.queued, c.speaking = s.store.dbs[0], -1, 2
	c.topics = [2]map[string]bool{make(map[string]bool), make(map[string]bool)}
	return c
}

// serve is the life of a connection.
func (c *conn) serve() {
	defer c.server.running.Done()
	defer c.leave()
	defer func() {
		if bug := recover(); bug != nil {
			slog.Error("A bug cost a client its connection", "client", c.id, "bug", bug,
				"stack", string(debug.Stack()))
		}
	}()
	for !c.closing {
		batch, err := c.in.commands()
		if err != nil {
			if broken := protocolError(""); errors.As(err, &broken) {
				slog.Log(context.Background(), logLevels["verbose"], broken.Error(), "client", c.RemoteAddr())
				c.out.err("ERR " + broken.Error())
				c.linger()
			} else if c.flush() == nil {
				c.outbox.drain() // it may have stopped sending, even in mid-command, and still read
			}
			return
		}
		c.lookAhead(batch)
		for _, words := range batch {
			if c.dispatch(words); c.closing {
				break
			}
			if len(c.out.buf) > outputAtOnce && c.flush() != nil {
				return
			}
		}
	}
	c.linger()
}

// lookAhead looks at the values of a pipeline before its commands run, which then find them in the processor's
// cache. Its looks do not depend on each other, and so the memory works on many at a time: most of what a GET
// costs is waiting for it. The sum is of no use, but without it the compiler would leave out the looking.
func (c *conn) lookAhead(batch [][]string) (sum byte) {
	if len(batch) == 1 && len(batch[0]) < 4 {
		return 0
	}
	c.store.RLock()
	defer c.store.RUnlock()
	for _, words := range batch {
		if cmd := named(commands, words[0]); cmd != nil {
			for key := range cmd.keys.in(words) {
				c.ahead = append(c.ahead, c.db.keys.get(key))
			}
		}
	}
	for _, it := range c.ahead {
		if it != nil && it.text != "" {
			sum += it.text[0]
		}
	}
	clear(c.ahead)
	c.ahead = c.ahead[:0]
	return sum
}

// Read is called by the bufio.Reader when it runs dry. The moment before we
// wait for the client is the moment to send everything we owe it: a pipeline of
// commands costs one write, and no reply waits for the rest of a next command.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.out.buf) > 0 {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if c.waiter == nil {
		c.clock = 0
	}
	return c.Conn.Read(p)
}

// linger sends what is owed and waits a moment for the client to go: closing a
// socket that holds unread input would make the other side forget our last words.
func (c *conn) linger() {
	if c.flush() != nil {
		return
	}
	c.outbox.drain()
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
		c.SetReadDeadline(time.Now().Add(time.Second))
		io.CopyN(io.Discard, tcp, bulkMax)
	}
}

// leave closes the connection and forgets it.
func (c *conn) leave() {
	c.Close()
	if len(c.watcher.keys) > 0 {
		c.store.Lock()
		c.watcher.unwatch()
		c.store.Unlock()
	}
	c.setShared(func() {
		c.forget()
		delete(c.server.clients, c.id)
	})
}

// waits tells whether the client has reason to be silent.
func (c *conn) waits() bool { return c.blocked.Load() || c.subscriptions() > 0 || c.spying }

// dispatch decides whether a command may run, and runs it or puts it into the
// queue of MULTI. Whatever it decides, there is one reply.
func (c *conn) dispatch(words []string) {
	mark := len(c.out.buf)
	cmd, refusal := lookup(words)
	if cmd != nil && cmd != c.command.Load() { // a look costs less than an atomic write
		c.command.Store(cmd)
	}
	if refusal == "" {
		refusal = c.mayRun(cmd)
	}
	switch {
	case cmd == nil && (strings.EqualFold(words[0], "POST") || strings.EqualFold(words[0], "Host:")):
		slog.Warn("This was HTTP: maybe a web page makes a browser attack. Connection aborted.",
			"client", c.RemoteAddr())
		c.closing = true
	case refusal != "":
		c.out.err(string(refusal))
		c.aborted = c.queueing()
		if cmd != nil {
			cmd.turns.Add(1)
		}
	case c.queueing() && cmd.flags&unqueued == 0:
		c.queue = append(c.queue, queued{cmd, slices.Clone(words)})
		c.setShared(func() { c.queued = len(c.queue) })
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
	if c.replies != replyOn {
		c.mute(mark)
	}
}

// mayRun returns why the command must not run now, as Redis words it.
func (c *conn) mayRun(cmd *command) replyError {
	switch {
	case c.in.guest && cmd.flags&noAuth == 0:
		return "NOAUTH Authentication required."
	case c.queueing() && cmd.flags&noMulti != 0:
		return "ERR Command not allowed inside a transaction"
	case c.speaking == 2 && c.subscriptions() > 0 && !slices.Contains(whileSubscribed, cmd.name):
		return replyError("ERR Can't execute '" + cmd.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / " +
			"PING / QUIT / RESET are allowed in this context")
	case cmd.flags&write != 0 && c.server.saver.failing.Load() && c.server.config.get("save") != "" &&
		c.server.config.get("stop-writes-on-bgsave-error") == "yes":
		return errSaveFailed
	}
	return ""
}

// queueing tells whether MULTI has begun and EXEC is to come.
func (c *conn) queueing() bool { return c.queued >= 0 }

// whileSubscribed are the commands of subscribers in RESP 2, which cannot tell messages from replies.
var whileSubscribed = []string{"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping",
	"quit", "reset"}

// run runs the command under the lock that its row names. Commands take the store's lock nowhere else.
func (r *request) run(w *writer) {
	switch r.cmd.locks() {
	case write:
		r.store.Lock()
		defer r.store.Unlock()
		defer r.store.serve()
	case readonly:
		r.store.RLock()
		defer r.store.RUnlock()
	}
	r.call(w)
}

// setShared changes what other clients may ask for.
func (c *conn) setShared(change func()) {
	c.server.mu.Lock()
	change()
	c.server.mu.Unlock()
}

// mute takes back what the command just wrote, as CLIENT REPLY asked.
func (c *conn) mute(mark int) {
	c.out.buf = c.out.buf[:min(mark, len(c.out.buf))]
	switch c.replies {
	case replySkipNext:
		c.replies = replySkip
	case replySkip:
		c.replies = replyOn
	}
}

// --- delivery ----------------------------------------------------------------

// An outbox sends what is owed to one client. The connection's own goroutine writes straight to the socket as
// long as that takes it all at once. What the socket does not take is left to a goroutine of the outbox, so
// that reading goes on: many libraries send a whole pipeline before they read one reply, and a server that
// waits for them to read while they wait for it to read would wait for ever.
type outbox struct {
	mu      sync.Mutex
	owed    []byte
	writing bool          // somebody writes to the socket right now
	err     error         // of the last write: nothing can be sent any more
	behind  int64         // Unix time in seconds since when it owes a subscriber much
	patient int64         // Unix ms until which a write may block before it gives up
	empty   chan struct{} // closed by the outbox's goroutine at its end
}

const (
	outboxMax     = 1 << 30 // bytes owed to a client that does not read, before it is disconnected
	blockAtMost   = 50      // ms that a write may block the reading of commands, at the least
	blockDeadline = 250     // ms after which it surely no longer does
	drainTime     = 10 * time.Second
)

// flush sends the replies in c.out, or leaves them to the outbox.
func (c *conn) flush() error {
	b := c.out.buf
	if len(b) == 0 {
		return nil
	}
	c.out.buf = b[:0]
	if cap(b) > outputKept {
		c.out.buf = nil
	}
	o := &c.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if o.writing {
		return c.owe(b)
	}
	// Moving a deadline costs as much as a small write, so it is not moved each time, but when it comes near.
	if now := c.active.Load(); now > o.patient-blockAtMost {
		o.patient = now + blockDeadline
		c.SetWriteDeadline(time.Now().Add(blockDeadline * time.Millisecond))
	}
	o.writing = true
	o.mu.Unlock()
	n, err := c.Conn.Write(b)
	o.mu.Lock()
	o.writing = false
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		o.err = err
		return err
	}
	o.owed = slices.Insert(o.owed, 0, b[n:]...) // before the messages of others that came while we wrote
	return c.owe(nil)
}

// owe adds to what the outbox owes, whose mutex is held, and has it sent.
func (c *conn) owe(b []byte) error {
	o := &c.outbox
	o.owed = append(o.owed, b...)
	if len(o.owed) > outboxMax {
		o.err = errors.New("client does not read its replies")
		c.Close()
		return o.err
	}
	if len(o.owed) > 0 && !o.writing {
		o.writing, o.empty = true, make(chan struct{})
		c.SetWriteDeadline(time.Time{})
		go c.deliver()
	}
	return nil
}

// post sends a message that is not a reply. It never waits for the client, and
// disconnects one that has fallen too far behind, at Redis's limits.
func (c *conn) post(message []byte) {
	const hard, soft, patience = 32 << 20, 8 << 20, 60 // bytes, bytes for so many seconds
	o, now := &c.outbox, time.Now().Unix()
	o.mu.Lock()
	defer o.mu.Unlock()
	c.owe(message)
	behind := len(o.owed)
	if behind < soft || o.behind == 0 {
		o.behind = now
	}
	if behind > hard || behind > soft && now-o.behind > patience {
		slog.Warn("A subscriber does not keep up, and is disconnected", "client", c.RemoteAddr())
		c.Close()
	}
}

// handOver leaves the replies so far to the outbox, so that messages come behind them. What tells of
// subscriptions is a message too: CLIENT REPLY does not silence it.
func (c *conn) handOver() {
	c.outbox.mu.Lock()
	c.owe(c.out.buf)
	c.out.buf = c.out.buf[:0]
	c.outbox.mu.Unlock()
}

// deliver sends what the outbox owes until it owes nothing.
func (c *conn) deliver() {
	o := &c.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.owed) > 0 && o.err == nil {
		b := o.owed
		o.owed = nil
		o.mu.Unlock()
		_, err := c.Conn.Write(b)
		o.mu.Lock()
		if err != nil {
			o.err = err
			c.Close()
		}
	}
	o.writing, o.patient = false, 0
	close(o.empty)
}

// drain waits until nothing is owed any more, but not for ever.
func (o *outbox) drain() {
	o.mu.Lock()
	busy, empty := o.writing, o.empty
	o.mu.Unlock()
	if busy {
		select {
		case <-empty:
		case <-time.After(drainTime):
		}
	}
}

// --- blocking ----------------------------------------------------------------

// park waits until the command that blocks is served: whoever fills a key runs it again.
func (c *conn) park() {
	c.flush()
	var late <-chan time.Time
	if c.patience > 0 {
		timer := time.NewTimer(c.patience)
		defer timer.Stop()
		late = timer.C
	}
	watched := make(chan struct{})
	go func() { c.watch(); close(watched) }()
	select {
	case <-c.waiter.done:
	case <-late:
		c.store.Lock()
		c.unblock((*writer).nullArray)
		c.store.Unlock()
	}
	c.SetReadDeadline(time.Unix(1, 0)) // ends the watch
	<-watched
	if !c.server.stopping.Load() {
		c.SetReadDeadline(time.Time{})
	}
	c.blocked.Store(false)
	c.store.Lock() // CLIENT UNBLOCK looks at it
	c.waiter = nil
	c.store.Unlock()
	c.out.buf = append(c.out.buf, c.late.buf...)
	c.late.buf = nil
}

// watch reads on while a command blocks, to learn when the client hangs up. What
// arrives stays in the input buffer; when that is full it gives up.
func (c *conn) watch() {
	for {
		_, err := c.in.Peek(c.in.Buffered() + 1)
		if err == nil {
			continue
		}
		stopped := errors.Is(err, os.ErrDeadlineExceeded) && !c.server.stopping.Load()
		if stopped || errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		c.store.Lock()
		c.closing = c.unblock(func(*writer) {})
		c.store.Unlock()
		return
	}
}

// unblock ends the waiting of a client, if it waits, with a reply that tells it why. The store is locked.
func (c *conn) unblock(reply func(w *writer)) bool {
	if c.waiter == nil || c.waiter.keys == nil {
		return false
	}
	reply(&c.late)
	return c.waiter.leave()
}

// --- pub/sub -----------------------------------------------------------------

// The two kinds of topics.
const (
	channels = iota
	patterns
)

// subscriptions counts the topics of a client.
func (c *conn) subscriptions() int { return len(c.topics[channels]) + len(c.topics[patterns]) }

// subscribe adds a topic to those of a client, and unsubscribe removes one. The server's mutex is held.
func (c *conn) subscribe(kind int, topic string) {
	c.server.topics[kind].add(topic, c)
	c.topics[kind][topic] = true
}

func (c *conn) unsubscribe(kind int, topic string) {
	c.server.topics[kind].remove(topic, c)
	delete(c.topics[kind], topic)
}

// forget ends all subscriptions, and MONITOR.
func (c *conn) forget() {
	for kind := range c.topics {
		for topic := range c.topics[kind] {
			c.unsubscribe(kind, topic)
		}
	}
	if c.spying {
		c.spying = false
		c.server.spied.Add(-1)
	}
}

// publish posts a message to all who subscribed to the channel or to a pattern that
// matches it, and returns how many that were.
func (s *server) publish(channel, message string) (receivers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	post := func(to map[*conn]bool, parts ...string) {
		for c := range to {
			w := writer{resp3: c.speaking == 3}
			w.push(len(parts))
			for _, part := range parts {
				w.bulk(part)
			}
			c.post(w.buf)
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

// notify publishes what happened to a key, if the setting notify-keyspace-events has
// the class of the event: a letter, like g for what all types have.
func (s *server) notify(d *db, class byte, event, key string) {
	on := *s.config.events.Load()
	if on == "" || !strings.Contains(on, string(class)) && (class == 'm' || !strings.Contains(on, "A")) {
		return
	}
	if strings.Contains(on, "K") {
		s.publish(fmt.Sprintf("__keyspace@%d__:%s", d.id, key), event)
	}
	if strings.Contains(on, "E") {
		s.publish(fmt.Sprintf("__keyevent@%d__:%s", d.id, event), key)
	}
}

// eventClasses reads the setting notify-keyspace-events.
func eventClasses(v string) (string, error) {
	if strings.Trim(v, "Ag$lshzxetdKEm") != "" {
		return "", errors.New("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
	}
	return v, nil
}

// spy shows a command to the clients in MONITOR; not those that administer, and no passwords.
func (r *request) spy(micros int64) {
	if r.server.spied.Load() == 0 || r.cmd.flags&admin != 0 {
		return
	}
	line := fmt.Appendf(nil, "+%d.%06d [%d %s]", micros/1e6, micros%1e6, r.db.id, r.RemoteAddr())
	for i, word := range r.words {
		if i > 0 && r.cmd.flags&noAuth != 0 {
			word = "(redacted)"
		}
		line = appendQuoted(append(line, ' '), word)
	}
	line = append(line, '\r', '\n')
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, c := range r.server.clients {
		if c.spying {
			c.post(line)
		}
	}
}

// --- what clients tell of each other -----------------------------------------

// allClients returns the clients, oldest first.
func (s *server) allClients() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.clients), func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
}

// describe returns the line of a client in CLIENT LIST at now, in Unix ms.
func (c *conn) describe(now int64) string {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	flags, last := "", "NULL"
	for _, f := range []struct {
		on   bool
		name string
	}{{c.spying, "O"}, {c.subscriptions() > 0, "P"}, {c.queued >= 0, "x"}, {c.blocked.Load(), "b"},
		{c.noEvict, "e"}} {
		if f.on {
			flags += f.name
		}
	}
	if cmd := c.command.Load(); cmd != nil {
		last = cmd.name
	}
	c.outbox.mu.Lock()
	owed := len(c.outbox.owed)
	c.outbox.mu.Unlock()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=%d "+
		"sub=%d psub=%d ssub=0 multi=%d qbuf=0 qbuf-free=%d argv-mem=0 multi-mem=0 rbs=%d rbp=0 obl=0 "+
		"oll=%d omem=%d tot-mem=%d events=r cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
		c.id, c.RemoteAddr(), c.LocalAddr(), c.name, (now-c.created)/1000, (now-c.active.Load())/1000,
		cmp.Or(flags, "N"), c.db.id, len(c.topics[0]), len(c.topics[1]), c.queued, bufferSize, outputKept,
		min(owed, 1), owed, bufferSize+owed, last, c.speaking, c.lib[0], c.lib[1])
}
