package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How to read this file: the table of commands, which is the only list of them; then what every command
// stands on, the request; then one section a group, in the order of the table. A handler parses its
// arguments, calls the store and replies. To add a command, add a row and its handler.

// --- the table ---------------------------------------------------------------

// A row holds each fact about a command once.
type row struct {
	usage   string // "GET key": the capitals are the name, LPOP|RPOP two; the rest gives arity and keys
	summary string // one sentence, as COMMAND DOCS shows it
	flags   flags
	run     handler
}

// A handler writes one reply to w, whatever happens.
type handler func(w *writer, r *request)

type group struct {
	name  string
	class byte // of keyspace notifications
	rows  []row
}

// flags are what COMMAND INFO prints of a command, and the lock it takes.
type flags uint32

const (
	write flags = 1 << iota
	readonly
	denyoom
	admin
	pubsub
	noscript
	blocking
	loading
	stale
	fast
	noAuth
	noMulti
	allowBusy
	noAsyncLoading
	skipSlowlog
	movable

	lockWrite // runs under the write lock, though it is no write command
	lockRead  // runs under the read lock, though it is not readonly
	unqueued  // runs at once even after MULTI

	// What often goes together.
	grow      = write | denyoom
	fastRead  = readonly | fast
	fastWrite = write | fast
	fastGrow  = grow | fast
	anytime   = loading | stale
	session   = anytime | noscript
	control   = session | admin
	bracket   = session | fast | allowBusy
	greeting  = bracket | noAuth
	waits     = noscript | blocking
)

// Usages that several rows share.
const (
	lifetimes = "EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds"
	matching  = " [MATCH pattern] [COUNT count]"
	limited   = " [LIMIT offset count]"
	cutBy     = " [BYSCORE|BYLEX] [REV] [LIMIT offset count]"
	weights   = " [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]"
	takes     = " [COUNT count]"
	ofKeys    = " numkeys key [key ...]"
	withScore = " [WITHSCORES]"
	ofType    = "[TYPE NORMAL|MASTER|REPLICA|PUBSUB]"
)

var flagNames = []string{"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading",
	"stale", "fast", "no_auth", "no_multi", "allow_busy", "no_async_loading", "skip_slowlog", "movablekeys"}

var table = []group{
	{"connection", 0, []row{
		{"AUTH [username] password", "Gives the password.", greeting, cmdAuth},
		{"CLIENT GETNAME", "Returns the name of the connection.", session, cmdClientGetName},
		{"CLIENT ID", "Returns the number of the connection.", session, cmdClientID},
		{"CLIENT INFO", "Describes the connection.", session, cmdClientInfo},
		{"CLIENT KILL ip:port|[ID client-id]|" + ofType + "|[USER username]|[ADDR ip:port]|" +
			"[LADDR ip:port]|[SKIPME YES|NO] [...]", "Disconnects clients.", control, cmdClientKill},
		{"CLIENT LIST " + ofType + " [ID client-id [client-id ...]]",
			"Describes the clients.", control, cmdClientList},
		{"CLIENT NO-EVICT ON|OFF", "Accepts what has no effect here.", control, cmdClientNoEvict},
		{"CLIENT REPLY ON|OFF|SKIP", "Switches replies off and on.", session, cmdClientReply},
		{"CLIENT SETINFO lib-name|lib-ver value", "Names a library (Redis 7.2).", session, cmdClientSetInfo},
		{"CLIENT SETNAME connection-name", "Gives the connection a name.", session, cmdClientSetName},
		{"CLIENT UNBLOCK client-id [TIMEOUT|ERROR]", "Ends a wait.", control | lockWrite, cmdClientUnblock},
		{"ECHO message", "Returns the message.", anytime | fast, cmdEcho},
		{"HELLO [protover [AUTH username password] [SETNAME clientname]]", "Chooses RESP 2 or 3.",
			greeting, cmdHello},
		{"PING [message]", "Answers PONG, or the message.", fast, cmdPing},
		{"QUIT [...]", "Closes the connection.", greeting | unqueued, cmdQuit},
		{"RESET", "Makes the connection as good as new.", greeting | unqueued | lockWrite, cmdReset},
		{"SELECT index", "Changes the database.", anytime | fast, cmdSelect},
	}},
	{"generic", 'g', []row{
		{"COPY source destination [DB destination-db] [REPLACE]", "Copies a key.", grow, cmdCopy},
		{"DEL key [key ...]", "Deletes keys.", write, cmdDel},
		{"EXISTS|TOUCH key [key ...]", "Counts which of the keys exist.", fastRead, cmdExists},
		{"EXPIRE|EXPIREAT|PEXPIRE|PEXPIREAT key time [NX|XX|GT|LT]", "Sets an expiry.", fastWrite, cmdExpire},
		{"KEYS pattern", "Returns the keys that match a pattern.", readonly, cmdKeys},
		{"MOVE key db", "Moves a key to another database.", fastWrite, cmdMove},
		{"PERSIST key", "Removes the deadline of a key.", fastWrite, cmdPersist},
		{"RANDOMKEY", "Returns a random key.", readonly | lockWrite, cmdRandomKey},
		{"RENAME key newkey", "Renames a key.", write, cmdRename},
		{"RENAMENX key newkey", "Renames a key if the new name is free.", fastWrite, cmdRename},
		{"SCAN cursor" + matching + " [TYPE type]", "Goes through the keys.", readonly, cmdScan},
		{"TTL|PTTL|EXPIRETIME|PEXPIRETIME key", "Returns when a key will expire.", fastRead, cmdTTL},
		{"TYPE key", "Returns the type of the value of a key.", fastRead, cmdType},
		{"UNLINK key [key ...]", "Deletes keys.", fastWrite, cmdDel},
	}},
	{"string", '$', []row{
		{"APPEND key value", "Appends to the string at a key.", fastGrow, cmdAppend},
		{"DECRBY|INCRBY key number", "Adds to an integer, or subtracts.", fastGrow, cmdIncr},
		{"GET key", "Returns the string at a key.", fastRead, cmdGet},
		{"GETDEL key", "Returns the string at a key and deletes it.", fastWrite, cmdGetDel},
		{"GETEX key [" + lifetimes + "|PERSIST]", "Returns a string, sets a deadline.", fastWrite, cmdGetEx},
		{"GETRANGE|SUBSTR key start end", "Returns a part of the string at a key.", readonly, cmdGetRange},
		{"GETSET key value", "Sets a key to a string and returns the old one.", fastGrow, cmdGetSet},
		{"INCR|DECR key", "Adds 1 to an integer, or takes it away.", fastGrow, cmdIncr},
		{"INCRBYFLOAT key increment", "Adds to the number at a key.", fastGrow, cmdIncrByFloat},
		{"LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]", "Compares strings.", readonly, cmdLCS},
		{"MGET key [key ...]", "Returns the strings at several keys.", fastRead, cmdMGet},
		{"MSET|MSETNX key value [key value ...]", "Sets several keys, or all if none exists.", grow, cmdMSet},
		{"PSETEX|SETEX key time value", "Sets a key and its time to live.", grow, cmdSetEx},
		{"SET key value [NX|XX] [GET] [" + lifetimes + "|KEEPTTL]", "Sets a key to a string.", grow, cmdSet},
		{"SETNX key value", "Sets a key if it does not exist.", fastGrow, cmdSetNX},
		{"SETRANGE key offset value", "Overwrites a part of the string at a key.", grow, cmdSetRange},
		{"STRLEN key", "Returns the length of the string at a key.", fastRead, cmdStrLen},
	}},
	{"list", 'l', []row{
		{"BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout", "LMOVE, or waits.",
			grow | waits, cmdLMove},
		{"BLMPOP timeout" + ofKeys + " LEFT|RIGHT" + takes, "LMPOP, or waits.",
			write | blocking, cmdMPop[list]},
		{"BLPOP|BRPOP key [key ...] timeout", "LPOP or RPOP, or waits.", write | waits, cmdBPop[list]},
		{"BRPOPLPUSH source destination timeout", "RPOPLPUSH, or waits.", grow | waits, cmdRPopLPush},
		{"LINDEX key index", "Returns an element by its index.", readonly, cmdLIndex},
		{"LINSERT key BEFORE|AFTER pivot element", "Inserts an element beside another.", grow, cmdLInsert},
		{"LLEN key", "Returns the length of a list.", fastRead, length[list]},
		{"LMOVE source destination LEFT|RIGHT LEFT|RIGHT", "Moves an element.", grow, cmdLMove},
		{"LMPOP" + ofKeys + " LEFT|RIGHT" + takes, "Takes from the first list.", write, cmdMPop[list]},
		{"LPOP|RPOP key [count]", "Takes elements from one end.", fastWrite, cmdPop},
		{"LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]", "Finds places.", readonly, cmdLPos},
		{"LPUSH|RPUSH|LPUSHX|RPUSHX key element [element ...]", "Adds elements.", fastGrow, cmdPush},
		{"LRANGE key start stop", "Returns a range of a list.", readonly, cmdLRange},
		{"LREM key count element", "Removes elements equal to one from a list.", write, cmdLRem},
		{"LSET key index element", "Replaces an element by its index.", grow, cmdLSet},
		{"LTRIM key start stop", "Keeps only a range of a list.", write, cmdLTrim},
		{"RPOPLPUSH source destination", "Moves the last element to the head of a list.", grow, cmdRPopLPush},
	}},
	{"hash", 'h', []row{
		{"HDEL key field [field ...]", "Removes fields from a hash.", fastWrite, remove[string]},
		{"HEXISTS key field", "Tells whether a hash has a field.", fastRead, has[string]},
		{"HGET key field", "Returns the value of a field.", fastRead, cmdHGet},
		{"HGETALL|HKEYS|HVALS key", "Returns all fields, values, or both.", readonly, cmdHGetAll},
		{"HINCRBY key field increment", "Adds to the integer in a field.", fastGrow, cmdHIncrBy},
		{"HINCRBYFLOAT key field increment", "Adds to the number in a field.", fastGrow, cmdHIncrByFloat},
		{"HLEN key", "Counts the fields.", fastRead, length[hash]},
		{"HMGET key field [field ...]", "Returns the values of fields.", fastRead, lookAll(fieldsOf)},
		{"HRANDFIELD key [count [WITHVALUES]]", "Returns random fields.", readonly, random(fieldsOf)},
		{"HSCAN key cursor" + matching, "Goes through the fields.", readonly, scan(fieldsOf)},
		{"HSET|HMSET key field value [field value ...]", "Sets fields.", fastGrow, cmdHSet},
		{"HSETNX key field value", "Sets a field if the hash does not have it.", fastGrow, cmdHSetNX},
		{"HSTRLEN key field", "Returns the length of the value of a field.", fastRead, cmdHStrLen},
	}},
	{"set", 's', []row{
		{"SADD key member [member ...]", "Adds members to a set.", fastGrow, cmdSAdd},
		{"SCARD key", "Counts the members.", fastRead, length[set]},
		{"SDIFF|SINTER|SUNION key [key ...]", "Combines sets.", readonly, cmdSetAlgebra},
		{"SDIFFSTORE|SINTERSTORE|SUNIONSTORE destination key [key ...]", "Stores that.", grow, cmdSetAlgebra},
		{"SINTERCARD" + ofKeys + " [LIMIT limit]", "Counts what SINTER returns.", readonly, cmdInterCard},
		{"SISMEMBER key member", "Tells whether a set has a member.", fastRead, has[struct{}]},
		{"SMEMBERS key", "Returns all members.", readonly, cmdSMembers},
		{"SMISMEMBER key member [member ...]", "Tells which are members.", fastRead, lookAll(membersOf)},
		{"SMOVE source destination member", "Moves a member to another set.", fastWrite, cmdSMove},
		{"SPOP key [count]", "Takes random members.", fastWrite, cmdSPop},
		{"SRANDMEMBER key [count]", "Returns random members.", readonly, random(membersOf)},
		{"SREM key member [member ...]", "Removes members.", fastWrite, remove[struct{}]},
		{"SSCAN key cursor" + matching, "Goes through the members.", readonly, scan(membersOf)},
	}},
	{"sorted-set", 'z', []row{
		{"BZMPOP timeout" + ofKeys + " MIN|MAX" + takes, "ZMPOP, or waits.", write | blocking, cmdMPop[zset]},
		{"BZPOPMAX|BZPOPMIN key [key ...] timeout", "ZPOPMAX that waits.", fastWrite | waits, cmdBPop[zset]},
		{"ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", "Sets scores.",
			fastGrow, cmdZAdd},
		{"ZCARD key", "Counts the members.", fastRead, length[zset]},
		{"ZCOUNT|ZLEXCOUNT key min max", "Counts a range by score or name.", fastRead, cmdZCount},
		{"ZDIFF" + ofKeys + withScore, "Subtracts from the first.", readonly, cmdScoreAlgebra},
		{"ZDIFFSTORE destination" + ofKeys, "Stores what ZDIFF returns.", grow, cmdScoreAlgebra},
		{"ZINCRBY key increment member", "Adds to the score of a member.", fastGrow, cmdZIncrBy},
		{"ZINTER|ZUNION" + ofKeys + weights + withScore, "Combines sorted sets.", readonly, cmdScoreAlgebra},
		{"ZINTERCARD" + ofKeys + " [LIMIT limit]", "Counts what ZINTER returns.", readonly, cmdInterCard},
		{"ZINTERSTORE|ZUNIONSTORE destination" + ofKeys + weights, "Stores that.", grow, cmdScoreAlgebra},
		{"ZMPOP" + ofKeys + " MIN|MAX" + takes, "Takes from the first set.", write, cmdMPop[zset]},
		{"ZMSCORE key member [member ...]", "Returns scores of members.", fastRead, lookAll(scoresOf)},
		{"ZPOPMAX|ZPOPMIN key [count]", "Takes members from one end.", fastWrite, cmdZPop},
		{"ZRANDMEMBER key [count [WITHSCORES]]", "Returns random members.", readonly, random(scoresOf)},
		{"ZRANGE key start stop" + cutBy + withScore, "Returns a range.", readonly, cmdZRange},
		{"ZRANGEBYLEX key min max" + limited, "Returns a range by name.", readonly, cmdZRange},
		{"ZRANGEBYSCORE key min max" + withScore + limited, "Returns a range.", readonly, cmdZRange},
		{"ZRANGESTORE dst src min max" + cutBy, "Stores what ZRANGE returns.", grow, cmdZRange},
		{"ZRANK|ZREVRANK key member", "Returns how many members are before it.", fastRead, cmdZRank},
		{"ZREM key member [member ...]", "Removes members.", fastWrite, cmdZRem},
		{"ZREMRANGEBYLEX|ZREMRANGEBYSCORE key min max", "Removes that range.", write, cmdZRemRange},
		{"ZREMRANGEBYRANK key start stop", "Removes a range by rank.", write, cmdZRemRange},
		{"ZREVRANGE key start stop" + withScore, "Returns a range, downwards.", readonly, cmdZRange},
		{"ZREVRANGEBYLEX key max min" + limited, "Downwards by name.", readonly, cmdZRange},
		{"ZREVRANGEBYSCORE key max min" + withScore + limited, "Returns it downwards.", readonly, cmdZRange},
		{"ZSCAN key cursor" + matching, "Goes through the members.", readonly, scan(scoresOf)},
		{"ZSCORE key member", "Returns the score of a member.", fastRead, cmdZScore},
	}},
	{"pubsub", 0, []row{
		{"PSUBSCRIBE|SUBSCRIBE channel [channel ...]", "Subscribes.", pubsub | session, cmdSubscribe},
		{"PUBLISH channel message", "Sends a message to listeners.", pubsub | anytime | fast, cmdPublish},
		{"PUBSUB CHANNELS [pattern]", "Names channels with listeners.", pubsub | anytime, cmdPubsubChannels},
		{"PUBSUB NUMPAT", "Counts the patterns that are listened to.", pubsub | anytime, cmdPubsubNumPat},
		{"PUBSUB NUMSUB [channel [channel ...]]", "Counts the listeners.", pubsub | anytime, cmdPubsubNumSub},
		{"PUNSUBSCRIBE|UNSUBSCRIBE [channel [channel ...]]", "Ends that.", pubsub | session, cmdUnsubscribe},
	}},
	{"transactions", 0, []row{
		{"DISCARD", "Forgets the queue.", bracket | unqueued | lockWrite, cmdDiscard},
		{"EXEC", "Runs what was queued.", session | skipSlowlog | unqueued | lockWrite, cmdExec},
		{"MULTI", "Begins a transaction.", bracket | unqueued, cmdMulti},
		{"UNWATCH", "Watches nothing any more.", bracket | lockWrite, cmdUnwatch},
		{"WATCH key [key ...]", "Makes EXEC fail if one changes.", bracket | unqueued | lockWrite, cmdWatch},
	}},
	{"server", 0, []row{
		{"BGSAVE [SCHEDULE]", "Saves in the background.", admin | noscript | noAsyncLoading, cmdBGSave},
		{"CLUSTER subcommand [argument ...]", "Says that this is no cluster.", anytime, cmdCluster},
		{"COMMAND [...]", "Describes all commands.", anytime, cmdCommandInfo},
		{"COMMAND COUNT", "Counts the commands.", anytime, cmdCommandCount},
		{"COMMAND DOCS [command-name [command-name ...]]", "Documents commands.", anytime, cmdCommandDocs},
		{"COMMAND GETKEYS command arg [arg ...]", "Finds the keys in a command.", anytime, cmdCommandGetKeys},
		{"COMMAND INFO [command-name [command-name ...]]", "Describes commands.", anytime, cmdCommandInfo},
		{"COMMAND LIST [FILTERBY MODULE module-name|ACLCAT category|PATTERN pattern]", "Names commands.",
			anytime, cmdCommandList},
		{"CONFIG GET parameter [parameter ...]", "Returns settings.", control, cmdConfigGet},
		{"CONFIG RESETSTAT", "Sets the counters of INFO to 0.", control, cmdConfigResetStat},
		{"CONFIG SET parameter value [parameter value ...]", "Changes settings.", control, cmdConfigSet},
		{"DBSIZE", "Counts the keys of the database.", fastRead, cmdDBSize},
		{"FLUSHALL|FLUSHDB [ASYNC|SYNC]", "Deletes all keys, or those of the database.", write, cmdFlush},
		{"INFO [section [section ...]]", "Tells about the server.", anytime | lockRead, cmdInfo},
		{"LASTSAVE", "Returns the Unix time of the last save.", anytime | fast, cmdLastSave},
		{"MONITOR", "Shows every command that the server runs.", control, cmdMonitor},
		{"SAVE", "Saves the keyspace.", admin | noscript | noAsyncLoading | noMulti, cmdSave},
		{"SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]", "Stops the server.",
			control | allowBusy | noMulti, cmdShutdown},
		{"SWAPDB index1 index2", "Exchanges the keys of two databases.", fastWrite, cmdSwapDB},
		{"TIME", "Returns the Unix time in seconds, and the microseconds.", anytime | fast, cmdTime},
	}},
}

// A command is a row with what follows from it.
type command struct {
	row
	group *group
	name  string // "get", or "client|list" for a subcommand
	named int    // words of the name
	arity int    // words it takes, its name included; -n means n or more
	keys  keys
	subs  map[string]*command // by the second word, for those that have subcommands
	calls atomic.Int64
	usec  atomic.Int64
	fails atomic.Int64 // calls that ended in an error
	turns atomic.Int64 // calls turned away before they ran
}

// commands finds a command by its name, in lower and in upper case. Handlers
// must not mention the table, of which they are part, and look here.
var commands = make(map[string]*command)

func init() {
	for i := range table {
		for _, row := range table[i].rows {
			first, rest, _ := strings.Cut(row.usage, " ")
			for name := range strings.SplitSeq(first, "|") {
				row.usage = strings.TrimSpace(name + " " + rest)
				enter(&table[i], row)
			}
		}
	}
}

// enter makes a command of a row, and of the first word of one with subcommands.
func enter(g *group, row row) {
	c := &command{row: row, group: g}
	names := c.parseUsage()
	c.name, c.named = strings.ToLower(strings.Join(names, "|")), len(names)
	siblings := commands
	if len(names) > 1 {
		parent := commands[names[0]]
		if parent == nil {
			parent = &command{name: strings.ToLower(names[0]), named: 1, group: g, arity: -2}
			register(commands, names[0], parent)
		}
		if parent.subs == nil {
			parent.subs = make(map[string]*command)
		}
		siblings = parent.subs
	}
	register(siblings, names[len(names)-1], c)
}

func register(m map[string]*command, name string, c *command) {
	m[name], m[strings.ToLower(name)] = c, c
}

// keys tells where the keys of a command stand among its words, the name being
// 0: from first to last (from the end when negative) in steps; and, when count is
// not 0, behind the word at count, as many as that word says.
type keys struct{ first, last, step, count int }

// parseUsage reads arity and keys off the usage, and returns the words of the name.
// What stands in brackets may be left out; [key ...] repeats what stands before it.
func (c *command) parseUsage() (name []string) {
	depth, k := 0, &c.keys
	for i, word := range strings.Fields(c.usage) {
		isKey := k.count == 0 && argumentKind(strings.Trim(word, "[]")) == "key"
		switch mandatory := depth == 0 && word[0] != '['; {
		case len(name) == i && mandatory && word == strings.ToUpper(word) && !strings.Contains(word, "|"):
			name = append(name, word)
		case mandatory && word == "numkeys":
			k.count = c.arity
		case mandatory && isKey && k.first == 0:
			*k = keys{c.arity, c.arity, 1, 0}
		case mandatory && isKey:
			k.last = c.arity
		case mandatory && k.last < 0: // it stands behind the last key
			k.last--
		case depth == 0 && isKey:
			k.last, k.step = -1, c.arity-k.last
		}
		if depth == 0 && word[0] != '[' {
			c.arity++
		}
		depth += strings.Count(word, "[") - strings.Count(word, "]")
	}
	if strings.Contains(c.usage, "[") {
		c.arity = -c.arity
	}
	if k.count > 0 {
		c.flags |= movable
	}
	return name
}

// named finds a command or a subcommand by its name in any case.
func named(m map[string]*command, name string) *command {
	if c := m[name]; c != nil {
		return c
	}
	return m[strings.ToLower(name)]
}

// lookup finds the command that words ask for. If there is none it returns Redis's error.
func lookup(words []string) (*command, replyError) {
	c := named(commands, words[0])
	if c == nil {
		return nil, unknownCommand(words)
	}
	if c.subs != nil && len(words) > 1 {
		help := strings.ToUpper(c.name) + " HELP."
		if c = named(c.subs, words[1]); c == nil {
			return nil, replyError(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s", words[1], help))
		}
	}
	if !c.takes(len(words)) {
		return c, errArity(c.name)
	}
	return c, ""
}

// takes tells whether the command can have n words, its name included.
func (c *command) takes(n int) bool { return n == c.arity || c.arity < 0 && n >= -c.arity }

func unknownCommand(words []string) replyError {
	const most = 128 // bytes of what the client sent that the error repeats
	var args strings.Builder
	for i := 1; i < len(words) && args.Len() < most; i++ {
		fmt.Fprintf(&args, "'%.*s' ", most-args.Len(), words[i])
	}
	return replyError(fmt.Sprintf("ERR unknown command '%.128s', with args beginning with: %s",
		words[0], &args))
}

// in ranges over the keys among words. Words that cannot be read give none.
func (k keys) in(words []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		last := k.last
		if last < 0 {
			last += len(words)
		}
		for i := k.first; i > 0 && i <= last && i < len(words); i += k.step {
			if !yield(words[i]) {
				return
			}
		}
		if k.count == 0 || k.count >= len(words) {
			return
		}
		rest := words[k.count+1:]
		if n, ok := parseInt(words[k.count]); ok && n > 0 && n <= int64(len(rest)) {
			slices.Values(rest[:n])(yield)
		}
	}
}

// --- requests ----------------------------------------------------------------

// A request is one command of one client: a cursor over its arguments, and the way to the keys. Its methods
// throw a replyError, a panic that only call catches: an error deep in the reading of arguments ends the
// handler, as in encoding/gob, and no handler passes errors on.
type request struct {
	*conn
	cmd   *command
	words []string // the name of the command, and its arguments
	pos   int      // the next to read
	now   int64    // Unix time in ms at which the command runs
	edits []edited // containers given out by edit

	nested bool   // within EXEC
	ready  string // the key that was filled, when a command that blocked runs again
}

// edited is a container that the handler is about to change.
type edited struct {
	key    string
	object container
	stored bool // it is in the keyspace
}

// A replyError is an error reply: its code and its text.
type replyError string

func fail(e replyError) { panic(e) }

// failIf throws an error when something is wrong; args fill the % in it.
func failIf(wrong bool, e replyError, args ...any) {
	if wrong && len(args) > 0 {
		e = replyError(fmt.Sprintf(string(e), args...))
	}
	if wrong {
		panic(e)
	}
}

// Redis's errors, word for word.
const (
	errSyntax     replyError = "ERR syntax error"
	errNotInt     replyError = "ERR value is not an integer or out of range"
	errNotFloat   replyError = "ERR value is not a valid float"
	errWrongType  replyError = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNoKey      replyError = "ERR no such key"
	errSameObject replyError = "ERR source and destination objects are the same"
	errTooLong    replyError = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errCountRange replyError = "ERR value is out of range, " +
		"value must between -9223372036854775807 and 9223372036854775807"
	errSaveFailed replyError = "MISCONF Redis is configured to save RDB snapshots, but it's currently " +
		"unable to persist to disk. Commands that may modify the data set are disabled, because this " +
		"instance is configured to report errors during writes if RDB snapshotting fails " +
		"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
)

func errArity(name string) replyError {
	return replyError("ERR wrong number of arguments for '" + name + "' command")
}

// call runs the handler, and turns what it throws into an error reply in place of what it had written. It is
// run for every command, once more for each command within EXEC, and again for a command that was blocked.
func (r *request) call(w *writer) {
	began, mark := r.clock, len(w.buf)
	if began == 0 {
		began = r.store.clock.micros()
	}
	r.now, r.pos, r.edits = began/1000, r.cmd.named, r.edits[:0]
	defer func() {
		if thrown := recover(); thrown != nil {
			e, ok := thrown.(replyError)
			if !ok {
				panic(thrown) // a bug, which conn.serve reports
			}
			w.buf = w.buf[:mark]
			w.err(string(e))
			r.cmd.fails.Add(1)
		}
		// Reading the clock costs as much as a GET: in a pipeline the end of a
		// command serves as the beginning of the next.
		r.clock = r.store.clock.micros()
		r.cmd.calls.Add(1)
		r.cmd.usec.Add(r.clock - began)
		if r.ready == "" {
			r.spy(began)
		}
		if r.active.Load() != r.now { // a look costs less than an atomic write
			r.active.Store(r.now)
		}
	}()
	r.cmd.run(w, r)
}

// more tells whether there are arguments that were not read yet.
func (r *request) more() bool { return r.pos < len(r.words) }

// left returns how many of them there are.
func (r *request) left() int { return len(r.words) - r.pos }

// next returns the next argument. An option that ends too early is a syntax error.
func (r *request) next() string {
	failIf(!r.more(), errSyntax)
	r.pos++
	return r.words[r.pos-1]
}

// rest returns all arguments that were not read yet, at least one.
func (r *request) rest() []string {
	list := r.words[r.pos:]
	r.pos = len(r.words)
	return list
}

// tally counts the arguments left for which something is true.
func (r *request) tally(holds func(arg string) bool) (n int) {
	for _, arg := range r.rest() {
		if holds(arg) {
			n++
		}
	}
	return n
}

// option returns the next argument in capitals.
func (r *request) option() string { return strings.ToUpper(r.next()) }

// options reads all arguments left as options in any order: pairs of a name and what it sets, a *bool, or a
// *int64 or *string from the argument behind it, or a func that reads on. Anything else is a syntax error.
func (r *request) options(known ...any) {
	for r.more() {
		word := r.option()
		i := slices.Index(known, any(word))
		failIf(i < 0, errSyntax)
		switch to := known[i+1].(type) {
		case *bool:
			*to = true
		case *int64:
			*to = r.int()
		case *string:
			*to = r.next()
		case func():
			to()
		}
	}
}

// end throws a syntax error when arguments are left over.
func (r *request) end() { failIf(r.more(), errSyntax) }

// pairs returns all arguments left, which must be pairs.
func (r *request) pairs() []string {
	r.failArity(r.left()%2 != 0)
	return r.rest()
}

// failArity throws what a command says to too few or too many arguments.
func (r *request) failArity(wrong bool) {
	if wrong {
		fail(errArity(r.cmd.name))
	}
}

func (r *request) int() int64 { return toInt(r.next()) }

func toInt(s string) int64 {
	n, ok := parseInt(s)
	failIf(!ok, errNotInt)
	return n
}

// lastCount reads the count that may end a command; it is 1 when not given.
func (r *request) lastCount() (count int, given bool) {
	if failIf(r.left() > 1, errSyntax); !r.more() {
		return 1, false
	}
	return r.atLeast(0, "ERR value is out of range, must be positive"), true
}

// atLeast reads a number that must not be less than low, else e is thrown, also when it is none.
func (r *request) atLeast(low int64, e replyError) int {
	n, ok := parseInt(r.next())
	failIf(!ok || n < low, e)
	return int(min(n, math.MaxInt))
}

// keysAfterCount reads the number of keys and then the keys.
func (r *request) keysAfterCount(tooFew replyError) []string {
	n := r.atLeast(1, "ERR numkeys should be greater than 0")
	failIf(n > r.left(), tooFew)
	return r.several(n)
}

// several returns the next n arguments, which there are.
func (r *request) several(n int) []string {
	r.pos += n
	return r.words[r.pos-n : r.pos]
}

// oneOf reads one of some words, and returns which.
func (r *request) oneOf(words ...string) int {
	i := slices.Index(words, r.option())
	failIf(i < 0, errSyntax)
	return i
}

// side reads the end that is meant, in the words of the command's group.
func (r *request) side() end {
	if r.cmd.group.name == "list" {
		return end(r.oneOf("LEFT", "RIGHT"))
	}
	return end(r.oneOf("MIN", "MAX"))
}

// dbIndex reads the number of a database.
func (r *request) dbIndex(notInt replyError) *db {
	n, ok := parseInt(r.next())
	failIf(!ok, notInt)
	failIf(n < 0 || n >= databases, "ERR DB index is out of range")
	return r.store.dbs[n]
}

// find returns the item at key, or nil. Under the write lock it first removes a
// key that is dead, so that what comes next cannot revive it.
func (r *request) find(key string) *item { return r.findIn(r.db, key) }

func (r *request) findIn(d *db, key string) *item {
	it := d.find(key, r.now)
	if it == nil && r.cmd.locks() == write && d.keys.has(key) {
		r.store.expire(d, key)
	}
	if r.cmd.flags&readonly != 0 {
		if it == nil {
			r.server.misses.Add(1)
			r.store.notify(d, 'm', "keymiss", key)
		} else {
			r.server.hits.Add(1)
		}
	}
	return it
}

// locks tells which lock a command runs under: write, readonly, or 0 for none.
func (c *command) locks() flags {
	switch {
	case c.flags&(write|lockWrite) != 0:
		return write
	case c.flags&(readonly|lockRead) != 0:
		return readonly
	}
	return 0
}

// stringItem returns the item at key, which must be a string, or nil.
func (r *request) stringItem(key string) *item {
	it := r.find(key)
	failIf(it != nil && it.object != nil && it.typeName() != "string", errWrongType)
	return it
}

// text returns the string at key.
func (r *request) text(key string) (s string, ok bool) {
	if it := r.stringItem(key); it != nil {
		return it.string(), true
	}
	return "", false
}

// read returns the container at key, or an empty one that is not stored; it throws WRONGTYPE.
func read[T any, P pointer[T]](r *request, key string) P {
	p, _ := lookFor[T, P](r, key)
	return p
}

func lookFor[T any, P pointer[T]](r *request, key string) (p P, stored bool) {
	it := r.find(key)
	if it == nil {
		return new(T), false
	}
	p, ok := it.object.(P)
	failIf(!ok, errWrongType)
	return p, true
}

// edit returns the container at key to be changed. When there is none it makes one, which changed will put
// into the keyspace if it is no longer empty: a handler that throws before leaves no trace.
func edit[T any, P pointer[T]](r *request, key string) P {
	p, stored := lookFor[T, P](r, key)
	r.edits = append(r.edits, edited{key, p, stored})
	return p
}

// editString returns the string at key as a buffer to be changed in place.
func (r *request) editString(key string) *buffer {
	if it := r.stringItem(key); it != nil {
		it.buffer()
	}
	return edit[buffer](r, key)
}

// setString gives key a string in place of anything, and a deadline if that is not 0.
func (r *request) setString(key, s, event string, deadline int64) {
	r.put(key, item{text: s, deadline: deadline})
	r.changed(key, event, 1)
}

// put gives key an item that was accessed now, in place of any other.
func (r *request) put(key string, it item) {
	it.access = uint32(r.now / 1000)
	r.db.put(key, it)
}

// changed ends every write: it stores or removes a container that was edited, counts the n changes for the
// save points, and tells whoever waits or watches; unless there were none. The event is the name that
// keyspace notifications have for it.
func (r *request) changed(key, event string, n int) { r.changedIn(r.db, key, event, n) }

func (r *request) changedIn(d *db, key, event string, n int) {
	if n == 0 {
		return
	}
	gone := false
	for i := range r.edits {
		e := &r.edits[i]
		switch {
		case e.key != key:
		case e.object.len() == 0:
			d.remove(key)
			e.stored, gone = false, true
		case !e.stored:
			d.put(key, item{object: e.object, access: uint32(r.now / 1000)})
			e.stored = true
		}
	}
	r.store.changes += int64(n)
	d.touched(key)
	r.store.signal(d, key)
	r.notify(d, key, event)
	if gone {
		r.notify(d, key, "del")
	}
}

// notify tells of an event, whose class is that of the command that made it, unless all types have it.
func (r *request) notify(d *db, key, event string) {
	if *r.server.config.events.Load() == "" {
		return
	}
	class := r.cmd.group.class
	switch event {
	case "del", "expire", "persist":
		class = 'g'
	case "sortstore":
		class = 'l'
	}
	r.store.notify(d, class, event, key)
}

// --- connection --------------------------------------------------------------

func cmdPing(w *writer, r *request) {
	r.failArity(r.left() > 1)
	switch message := strings.Join(r.words[1:], ""); {
	case r.speaking == 2 && r.subscriptions() > 0:
		w.bulks([]string{"pong", message})
	case r.more():
		w.bulk(message)
	default:
		w.simple("PONG")
	}
}

func cmdEcho(w *writer, r *request) { w.bulk(r.next()) }

func cmdQuit(w *writer, r *request) {
	r.closing = true
	w.ok()
}

func cmdSelect(w *writer, r *request) {
	d := r.dbIndex("ERR value is not an integer or out of range")
	r.setShared(func() { r.conn.db = d })
	w.ok()
}

func cmdReset(w *writer, r *request) {
	r.discard()
	r.in.guest = r.server.config.get("requirepass") != ""
	r.replies = replyOn
	w.resp3 = false
	r.setShared(func() {
		r.forget()
		r.conn.db, r.name, r.speaking, r.noEvict = r.store.dbs[0], "", 2, false
	})
	w.simple("RESET")
}

// authenticate checks a user and a password. There is one user, the default one.
func (r *request) authenticate(user, password string) {
	required := r.server.config.get("requirepass")
	failIf(user != "default" || required != "" && password != required,
		"WRONGPASS invalid username-password pair or user is disabled.")
	r.in.guest = false
}

func cmdAuth(w *writer, r *request) {
	user := "default"
	switch {
	case r.left() > 2:
		fail(errSyntax)
	case r.left() == 2:
		user = r.next()
	case r.server.config.get("requirepass") == "":
		fail("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	}
	r.authenticate(user, r.next())
	w.ok()
}

func cmdHello(w *writer, r *request) {
	dialect := int64(0)
	if r.more() {
		n, ok := parseInt(r.next())
		failIf(!ok, "ERR Protocol version is not an integer or out of range")
		failIf(n < 2 || n > 3, "NOPROTO unsupported protocol version")
		dialect = n
	}
	for r.more() {
		switch word := r.next(); {
		case strings.EqualFold(word, "AUTH") && r.left() >= 2:
			r.authenticate(r.next(), r.next())
		case strings.EqualFold(word, "SETNAME") && r.more():
			r.setName(r.next())
		default:
			failIf(true, "ERR Syntax error in HELLO option '%s'", word)
		}
	}
	if r.in.guest {
		fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH " +
			"<user> <pass> option can be used to authenticate the client and select the RESP protocol " +
			"version at the same time")
	}
	if dialect != 0 {
		w.resp3 = dialect == 3
		r.setShared(func() { r.speaking = int(dialect) })
	}
	w.any(fields{"server", "redis", "version", redisVersion, "proto", r.speaking, "id", r.id,
		"mode", "standalone", "role", "master", "modules", []any{}})
}

// isLabel tells whether a client may call itself or its library s: no space, no
// newline, nothing that cannot be printed, so that CLIENT LIST stays readable.
func isLabel(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < '!' || c > '~' })
}

func (r *request) setName(name string) {
	failIf(!isLabel(name), "ERR Client names cannot contain spaces, newlines or special characters.")
	r.setShared(func() { r.name = name })
}

func cmdClientSetName(w *writer, r *request) {
	r.setName(r.next())
	w.ok()
}

func cmdClientGetName(w *writer, r *request) { w.maybe(r.name, r.name != "") }

func cmdClientSetInfo(w *writer, r *request) {
	option, v := r.next(), r.next()
	i := slices.Index([]string{"lib-name", "lib-ver"}, strings.ToLower(option))
	failIf(i < 0, "ERR Unrecognized option '%s'", option)
	failIf(!isLabel(v),
		"ERR %s cannot contain spaces, newlines or special characters.", strings.ToLower(option))
	r.setShared(func() { r.lib[i] = v })
	w.ok()
}

func cmdClientID(w *writer, r *request) { w.int64(r.id) }

func cmdClientInfo(w *writer, r *request) { w.verbatim(r.conn.describe(r.now) + "\n") }

func cmdClientNoEvict(w *writer, r *request) {
	on := r.oneOf("OFF", "ON") == 1
	r.setShared(func() { r.noEvict = on })
	w.ok()
}

func cmdClientReply(w *writer, r *request) {
	switch mode := replyMode(r.oneOf("ON", "OFF", "SKIP")); {
	case mode == replyOn:
		r.replies = replyOn
		w.ok()
	case mode == replyOff || r.replies == replyOn:
		r.replies = mode
	}
}

// clientType reads a TYPE of client. There are no replicas, and no master.
func (r *request) clientType() string {
	word := r.next()
	kind := strings.Replace(strings.ToLower(word), "slave", "replica", 1)
	known := slices.Contains([]string{"normal", "pubsub", "master", "replica"}, kind)
	failIf(!known, "ERR Unknown client type '%s'", word)
	return kind
}

// A clientFilter says which clients CLIENT LIST and CLIENT KILL mean.
type clientFilter struct {
	ids               []int64
	kind, addr, laddr string
}

func (f *clientFilter) allows(c *conn) bool {
	kind := [...]string{"normal", "pubsub"}[min(c.subscriptions(), 1)]
	return (f.ids == nil || slices.Contains(f.ids, c.id)) && (f.kind == "" || f.kind == kind) &&
		(f.addr == "" || f.addr == c.RemoteAddr().String()) &&
		(f.laddr == "" || f.laddr == c.LocalAddr().String())
}

func cmdClientList(w *writer, r *request) {
	var f clientFilter
	r.options("TYPE", func() { f.kind = r.clientType(); r.end() }, "ID", func() {
		r.next()
		r.pos--
		for r.more() {
			f.ids = append(f.ids, int64(r.atLeast(math.MinInt64, "ERR Invalid client ID")))
		}
	})
	var lines strings.Builder
	for _, c := range r.server.allClients() {
		if f.allows(c) {
			lines.WriteString(c.describe(r.now) + "\n")
		}
	}
	w.verbatim(lines.String())
}

func cmdClientKill(w *writer, r *request) {
	var f clientFilter
	skipMe, old := true, r.left() == 1 // the old form names an address, and wants OK
	if old {
		f.addr, skipMe = r.next(), false
	}
	r.options("TYPE", func() { f.kind = r.clientType() }, "ADDR", &f.addr, "LADDR", &f.laddr, "ID", func() {
		f.ids = []int64{int64(r.atLeast(1, "ERR client-id should be greater than 0"))}
	}, "USER", func() {
		user := r.next()
		failIf(user != "default", "ERR No such user '%s'", user)
	}, "SKIPME", func() { skipMe = r.oneOf("NO", "YES") == 1 })
	killed := 0
	for _, c := range r.server.allClients() {
		switch {
		case !f.allows(c) || skipMe && c == r.conn:
			continue
		case c == r.conn:
			c.closing = true // when it has the reply
		default:
			c.Close()
		}
		killed++
	}
	failIf(old && killed == 0, "ERR No such client")
	w.done(!old, killed)
}

func cmdClientUnblock(w *writer, r *request) {
	id, reason := r.int(), "TIMEOUT"
	if r.more() {
		reason = r.option()
	}
	failIf(reason != "TIMEOUT" && reason != "ERROR", "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	reply := (*writer).nullArray
	if reason == "ERROR" {
		reply = func(w *writer) { w.err("UNBLOCKED client unblocked via CLIENT UNBLOCK") }
	}
	waits := func(c *conn) bool { return c.id == id && c.unblock(reply) }
	w.bit(slices.ContainsFunc(r.server.allClients(), waits))
}

// --- generic -----------------------------------------------------------------

func cmdDel(w *writer, r *request) { w.int(r.tally(r.delete)) }

// delete removes a key, and tells whether it was there.
func (r *request) delete(key string) bool {
	there := r.find(key) != nil
	if there {
		r.db.remove(key)
		r.changed(key, "del", 1)
	}
	return there
}

func cmdExists(w *writer, r *request) {
	w.int(r.tally(func(key string) bool { return r.find(key) != nil }))
}

func cmdType(w *writer, r *request) { w.simple(r.find(r.next()).typeName()) }

// unitOf returns the unit in ms of what commands and options take or tell: with a p they mean ms.
func unitOf(word string) int64 {
	if word[0] == 'p' {
		return 1
	}
	return 1000
}

func (r *request) failExpireTime(wrong bool) {
	if wrong {
		fail(replyError("ERR invalid expire time in '" + r.cmd.name + "' command"))
	}
}

// deadline turns n into Unix ms: a time for words that end in at, like expireat or px, else from now on.
func (r *request) deadline(n int64, word string) int64 {
	unit, base := unitOf(word), r.now
	if strings.HasSuffix(word, "at") {
		base = 0
	}
	r.failExpireTime(n > (math.MaxInt64-base)/unit || n < math.MinInt64/unit)
	return base + n*unit
}

// cmdExpire is EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT.
func cmdExpire(w *writer, r *request) {
	key, when := r.next(), r.next()
	var nx, xx, gt, lt bool
	for _, word := range r.words[r.pos:] {
		known := slices.Contains([]string{"NX", "XX", "GT", "LT"}, strings.ToUpper(word))
		failIf(!known, "ERR Unsupported option %s", word)
	}
	r.options("NX", &nx, "XX", &xx, "GT", &gt, "LT", &lt)
	failIf(nx && (xx || gt || lt), "ERR NX and XX, GT or LT options at the same time are not compatible")
	failIf(gt && lt, "ERR GT and LT options at the same time are not compatible")
	at := r.deadline(toInt(when), r.cmd.name)
	it := r.find(key)
	if it == nil {
		w.int(0)
		return
	}
	old := it.deadline // 0: never, which is later than any time
	sets := !(nx && old != 0 || xx && old == 0 || gt && (old == 0 || at <= old) || lt && old != 0 && at >= old)
	if sets {
		r.expireAt(key, *it, at)
	}
	w.bit(sets)
}

// expireAt gives a key, whose item is it, a deadline in Unix ms; one in the past deletes the key.
func (r *request) expireAt(key string, it item, at int64) {
	if at <= r.now {
		r.delete(key)
		return
	}
	it.deadline = at
	r.put(key, it)
	r.changed(key, "expire", 1)
}

// cmdTTL is TTL, PTTL, EXPIRETIME and PEXPIRETIME.
func cmdTTL(w *writer, r *request) {
	key := r.next()
	switch it := r.find(key); {
	case it == nil:
		w.int(-2)
	case it.deadline == 0:
		w.int(-1)
	default:
		n, unit := it.deadline, unitOf(r.cmd.name)
		if !strings.HasSuffix(r.cmd.name, "expiretime") {
			n -= r.now
		}
		w.int64(n/unit + (n%unit+unit/2)/unit) // rounded
	}
}

func cmdPersist(w *writer, r *request) {
	w.bit(r.persist(r.next()))
}

// persist takes the deadline from a key, if there is one.
func (r *request) persist(key string) bool {
	it := r.find(key)
	had := it != nil && it.deadline != 0
	if had {
		alive := *it
		alive.deadline = 0
		r.put(key, alive)
		r.changed(key, "persist", 1)
	}
	return had
}

func cmdKeys(w *writer, r *request) {
	pattern := r.next()
	var found []string
	for key, it := range r.db.keys.all() {
		if match(pattern, key) && !it.dead(r.now) {
			found = append(found, key)
		}
	}
	w.bulks(found)
}

func cmdRandomKey(w *writer, r *request) {
	for r.db.keys.len() > 0 {
		key := r.db.keys.random().key
		if r.find(key) != nil {
			w.bulk(key)
			return
		}
	}
	w.null()
}

// cmdRename is RENAME and RENAMENX.
func cmdRename(w *writer, r *request) {
	from, to, onlyNew := r.next(), r.next(), r.cmd.name == "renamenx"
	failIf(r.find(from) == nil, errNoKey)
	moves := r.find(to) == nil || !onlyNew
	if moves && from != to {
		r.place(from, r.db, to, false)
		r.changed(from, "rename_from", 1)
		r.changed(to, "rename_to", 1)
	}
	w.done(onlyNew, oneIf(moves))
}

// place gives a key in dest the value and the deadline of one that is there, which goes unless it is kept.
func (r *request) place(from string, dest *db, to string, keep bool) {
	it := *r.find(from)
	if keep && it.object != nil {
		it.object = it.object.clone()
	}
	it.access = uint32(r.now / 1000)
	dest.put(to, it)
	if !keep {
		r.db.remove(from)
	}
}

func cmdMove(w *writer, r *request) {
	key, dest := r.next(), r.dbIndex(errNotInt)
	failIf(dest == r.db, errSameObject)
	moves := r.find(key) != nil && r.findIn(dest, key) == nil
	if moves {
		r.place(key, dest, key, false)
		r.changed(key, "move_from", 1)
		r.changedIn(dest, key, "move_to", 1)
	}
	w.bit(moves)
}

func cmdCopy(w *writer, r *request) {
	from, to, dest, replace := r.next(), r.next(), r.db, false
	r.options("REPLACE", &replace, "DB", func() { dest = r.dbIndex(errNotInt) })
	failIf(dest == r.db && from == to, errSameObject)
	copies := r.find(from) != nil && (r.findIn(dest, to) == nil || replace)
	if copies {
		r.place(from, dest, to, true)
		r.changedIn(dest, to, "copy_to", 1)
	}
	w.bit(copies)
}

func (r *request) cursor() uint64 {
	n, err := strconv.ParseUint(r.next(), 10, 64)
	failIf(err != nil, "ERR invalid cursor")
	return n
}

// scanOptions reads what SCAN, HSCAN, SSCAN and ZSCAN have in common, and more.
func (r *request) scanOptions(more ...any) (pattern string, count int) {
	n := int64(10)
	pattern = "*"
	r.options(append(more, "MATCH", &pattern, "COUNT", &n)...)
	failIf(n < 1, errSyntax)
	return pattern, int(n)
}

func cmdScan(w *writer, r *request) {
	from, kind := r.cursor(), ""
	pattern, count := r.scanOptions("TYPE", &kind)
	var found []string
	cursor := r.db.keys.scan(from, count, func(key string, it *item) {
		fits := kind == "" || strings.EqualFold(it.typeName(), kind)
		if fits && match(pattern, key) && !it.dead(r.now) {
			found = append(found, key)
		}
	})
	w.array(2)
	w.bulk(strconv.FormatUint(cursor, 10))
	w.bulks(found)
}

// length makes LLEN and its like.
func length[T any, P pointer[T]](w *writer, r *request) { w.int(read[T, P](r, r.next()).len()) }

// --- string ------------------------------------------------------------------

func cmdGet(w *writer, r *request) { w.maybe(r.text(r.next())) }

func cmdMGet(w *writer, r *request) {
	w.array(r.left())
	for _, key := range r.rest() {
		if it := r.find(key); it.typeName() == "string" {
			w.bulk(it.string())
		} else {
			w.null()
		}
	}
}

// A lifetime is what SET and GETEX can say about a deadline: one option and its number.
type lifetime struct{ word, n string }

// options returns the options about a deadline; each excludes the others.
func (l *lifetime) options(r *request, alone string) (known []any) {
	for _, word := range []string{"ex", "px", "exat", "pxat", alone} {
		known = append(known, strings.ToUpper(word), func() {
			failIf(l.word != "" && l.word != word, errSyntax)
			if l.word = word; word != alone {
				l.n = r.next()
			}
		})
	}
	return known
}

// deadline returns the deadline in Unix ms that is to be set, 0 for none.
func (l *lifetime) deadline(r *request) int64 {
	if !strings.Contains(l.word, "x") {
		return 0
	}
	n := toInt(l.n)
	r.failExpireTime(n <= 0)
	return r.deadline(n, l.word)
}

// setOptions are the options of SET. Other commands are SET with some of them.
type setOptions struct {
	lifetime
	nx, xx, get bool
}

func cmdSet(w *writer, r *request) {
	key, text := r.next(), r.next()
	if r.more() {
		r.setWithOptions(w, key, text)
		return
	}
	r.setString(key, text, "set", 0)
	w.ok()
}

func (r *request) setWithOptions(w *writer, key, text string) {
	var o setOptions
	r.options(append(o.options(r, "keepttl"), "NX", &o.nx, "XX", &o.xx, "GET", &o.get)...)
	failIf(o.nx && o.xx, errSyntax)
	old, set := r.set(key, text, &o)
	switch {
	case o.get:
		w.place(old)
	case set:
		w.ok()
	default:
		w.null()
	}
}

// set sets a key as the options say. It returns the old string, if they want it, and whether it set the key.
func (r *request) set(key, text string, o *setOptions) (old *string, set bool) {
	at := o.deadline(r)
	it := r.find(key) // which drops what is dead, so that its deadline is not kept
	if o.get && it != nil {
		s := r.stringItem(key).string()
		old = &s
	}
	if o.nx && it != nil || o.xx && it == nil {
		return old, false
	}
	if o.word == "keepttl" && it != nil {
		at = it.deadline
	}
	r.setString(key, text, "set", at)
	if at != 0 && o.word != "keepttl" {
		r.notify(r.db, key, "expire")
	}
	return old, true
}

// cmdSetEx is SETEX and PSETEX.
func cmdSetEx(w *writer, r *request) {
	key, o := r.next(), setOptions{lifetime: lifetime{r.cmd.name, r.next()}}
	r.set(key, r.next(), &o)
	w.ok()
}

func cmdSetNX(w *writer, r *request) {
	_, set := r.set(r.next(), r.next(), &setOptions{nx: true})
	w.bit(set)
}

func cmdGetSet(w *writer, r *request) {
	old, _ := r.set(r.next(), r.next(), &setOptions{get: true})
	w.place(old)
}

func cmdGetDel(w *writer, r *request) {
	key := r.next()
	w.maybe(r.text(key))
	r.delete(key)
}

func cmdGetEx(w *writer, r *request) {
	key := r.next()
	var life lifetime
	r.options(life.options(r, "persist")...)
	text, existed := r.text(key)
	if existed && life.word == "persist" {
		r.persist(key)
	} else if existed {
		if at := life.deadline(r); at != 0 {
			r.expireAt(key, *r.find(key), at)
		}
	}
	w.maybe(text, existed)
}

// cmdMSet is MSET and MSETNX.
func cmdMSet(w *writer, r *request) {
	list, onlyNew, free := r.pairs(), r.cmd.name == "msetnx", true
	for i := 0; onlyNew && i < len(list); i += 2 {
		free = free && r.find(list[i]) == nil
	}
	for i := 0; free && i < len(list); i += 2 {
		r.setString(list[i], list[i+1], "set", 0)
	}
	w.done(onlyNew, oneIf(free))
}

func cmdAppend(w *writer, r *request) {
	key, more := r.next(), r.next()
	it := r.stringItem(key)
	if it == nil {
		r.setString(key, more, "append", 0)
		w.int(len(more))
		return
	}
	failIf(it.length()+len(more) > bulkMax, errTooLong)
	t := r.editString(key)
	t.b = append(t.b, more...)
	r.changed(key, "append", 1)
	w.int(len(t.b))
}

func cmdStrLen(w *writer, r *request) { w.int(r.stringItem(r.next()).length()) }

func cmdGetRange(w *writer, r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	it := r.stringItem(key)
	if start >= 0 || start <= stop { // unlike a list, a string reaches down to its first byte
		stop = max(stop, -int64(it.length()))
	}
	i, j := span(start, stop, it.length())
	w.bulk(it.slice(i, j))
}

func cmdSetRange(w *writer, r *request) {
	key, offset, part := r.next(), r.int(), r.next()
	failIf(offset < 0, "ERR offset is out of range")
	size := r.stringItem(key).length()
	if part == "" {
		w.int(size)
		return
	}
	failIf(offset > bulkMax || int(offset)+len(part) > bulkMax, errTooLong)
	t := r.editString(key)
	t.grow(int(offset) + len(part))
	copy(t.b[offset:], part)
	r.changed(key, "setrange", 1)
	w.int(len(t.b))
}

// cmdIncr is INCR, INCRBY, DECR and DECRBY.
func cmdIncr(w *writer, r *request) {
	key, by, n, down := r.next(), int64(1), int64(0), r.cmd.name[0] == 'd'
	if r.more() {
		by = r.int()
		failIf(down && by == math.MinInt64, "ERR decrement would overflow")
	}
	if down {
		by = -by
	}
	it := r.stringItem(key)
	if it != nil {
		n = toInt(it.string())
	}
	n = plus(n, by)
	if text := strconv.FormatInt(n, 10); it != nil { // in place: its deadline stays
		it.text, it.object = text, nil
		r.changed(key, "incrby", 1)
	} else {
		r.setString(key, text, "incrby", 0)
	}
	w.int64(n)
}

// plus adds, or throws.
func plus(n, by int64) int64 {
	overflows := by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by
	failIf(overflows, "ERR increment or decrement would overflow")
	return n + by
}

func cmdIncrByFloat(w *writer, r *request) {
	key, by, old, deadline := r.next(), r.next(), "0", int64(0)
	if it := r.stringItem(key); it != nil {
		old, deadline = it.string(), it.deadline
	}
	text := plusDecimal(old, by, errNotFloat)
	r.setString(key, text, "incrbyfloat", deadline)
	w.bulk(text)
}

// plusDecimal adds two numbers given as text.
func plusDecimal(n, by string, notFloat replyError) string {
	x, ok := parseDecimal(n)
	failIf(!ok, notFloat)
	y, ok := parseDecimal(by)
	failIf(!ok, errNotFloat)
	failIf(x.IsInf() || y.IsInf() || !inRange(x.Add(x, y)), "ERR increment would produce NaN or Infinity")
	return formatDecimal(x)
}

func cmdLCS(w *writer, r *request) {
	a, b := r.lcsString(), r.lcsString()
	var onlyLength, index, withLength bool
	var least int64
	r.options("IDX", &index, "LEN", &onlyLength, "WITHMATCHLEN", &withLength, "MINMATCHLEN", &least)
	failIf(index && onlyLength, "ERR If you want both the length and indexes, please just use IDX.")
	if (len(a)+1)*(len(b)+1) > bulkMax/4 {
		fail("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	}
	common, runs := longestCommonSubsequence(a, b)
	switch {
	case onlyLength:
		w.int(len(common))
	case !index:
		w.bulk(common)
	default:
		matches := []any{}
		for _, m := range runs {
			match := []any{[]any{m.a, m.a + m.size - 1}, []any{m.b, m.b + m.size - 1}}
			if withLength {
				match = append(match, m.size)
			}
			if int64(m.size) >= least {
				matches = append(matches, match)
			}
		}
		w.any(fields{"matches", matches, "len", len(common)})
	}
}

// lcsString returns the string at the next key, empty when there is none.
func (r *request) lcsString() string {
	it := r.find(r.next())
	failIf(it != nil && it.typeName() != "string", "ERR The specified keys must contain string values")
	return it.string()
}

// --- list --------------------------------------------------------------------

// end returns the end at which a command works, which is in its name: rpush, bzpopmax.
func (c *command) end() end {
	return end(oneIf(strings.Contains(c.name, "rp") || strings.HasSuffix(c.name, "max")))
}

// cmdPush is LPUSH and RPUSH, and LPUSHX and RPUSHX, which need a list.
func cmdPush(w *writer, r *request) {
	key, where := r.next(), r.cmd.end()
	l := edit[list](r, key)
	if l.len() == 0 && strings.HasSuffix(r.cmd.name, "x") {
		w.int(0)
		return
	}
	elements := r.rest()
	for _, s := range elements {
		l.push(where, s)
	}
	w.int(l.len())
	r.changed(key, [...]string{"lpush", "rpush"}[where], len(elements))
}

// cmdPop is LPOP and RPOP.
func cmdPop(w *writer, r *request) {
	key, counts := r.next(), r.more()
	r.failArity(r.left() > 1)
	count, _ := r.lastCount()
	l := edit[list](r, key)
	switch {
	case l.len() > 0:
		count = min(count, l.len())
		if counts {
			w.array(count)
		}
		r.take(w, key, l, r.cmd.end(), count, nil)
	case counts:
		w.nullArray()
	default:
		w.null()
	}
}

// take removes count elements, which there are, from one end of a list or a sorted
// set, and writes them one by one; each pair of a member and its score begins with begin.
func (r *request) take(w *writer, key string, from container, where end, count int, begin func()) {
	switch c := from.(type) {
	case *list:
		for range count {
			w.bulk(c.pop(where))
		}
		r.changed(key, [...]string{"lpop", "rpop"}[where], count)
	case *zset:
		first := [...]int{0, c.len() - count}[where]
		for _, e := range c.cut(first, first+count, where == back) {
			begin()
			w.bulk(e.member)
			w.double(e.score)
		}
		r.changed(key, [...]string{"zpopmin", "zpopmax"}[where], count)
	}
}

// filled returns the first of keys that holds something of type T, nil if there is none.
func filled[T any, P pointer[T]](r *request, keys []string) (key string, c P) {
	for _, key := range keys {
		if r.ready != "" && r.ready != key {
			continue // it was not filled
		}
		if it := r.find(key); it != nil {
			_, ok := it.object.(P)
			failIf(!ok && r.ready == "", errWrongType)
			if ok {
				return key, edit[T, P](r, key)
			}
		}
	}
	return "", nil
}

// cmdMPop is LMPOP, ZMPOP, BLMPOP and BZMPOP.
func cmdMPop[T any, P pointer[T]](w *writer, r *request) {
	timeout := time.Duration(0)
	if r.cmd.flags&blocking != 0 {
		timeout = r.timeout()
	}
	keys, where, count := r.keysAfterCount(errSyntax), r.side(), 1
	r.options("COUNT", func() { count = r.atLeast(1, "ERR count should be greater than 0"); r.end() })
	key, c := filled[T, P](r, keys)
	if c == nil {
		r.block(keys, timeout, w.nullArray)
		return
	}
	count = min(count, c.len())
	w.array(2)
	w.bulk(key)
	w.array(count)
	r.take(w, key, c, where, count, func() { w.array(2) })
}

// cmdBPop is BLPOP, BRPOP, BZPOPMIN and BZPOPMAX.
func cmdBPop[T any, P pointer[T]](w *writer, r *request) {
	keys, timeout := r.several(r.left()-1), r.timeout()
	key, c := filled[T, P](r, keys)
	if c == nil {
		r.block(keys, timeout, w.nullArray)
		return
	}
	w.array(2 + oneIf(r.cmd.group.name != "list"))
	w.bulk(key)
	r.take(w, key, c, r.cmd.end(), 1, func() {})
}

// timeout reads how long a command may block, in seconds; 0 is for ever.
func (r *request) timeout() time.Duration {
	seconds, ok := parseDouble(r.next())
	failIf(!ok, "ERR timeout is not a float or out of range")
	ms := math.Ceil(seconds * 1000)
	failIf(ms < 0 || ms >= 1<<63, "ERR timeout is negative") // which is what C makes of the largest
	return time.Duration(min(int64(ms), math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// block makes the client wait until one of the keys is filled and the command can be
// run again. A transaction does not wait, it is told that there is none.
func (r *request) block(keys []string, timeout time.Duration, none func()) {
	switch {
	case r.ready != "": // it goes on waiting
	case r.nested || r.cmd.flags&blocking == 0:
		none()
	default:
		c := r.conn
		c.patience, c.late.resp3 = timeout, c.out.resp3
		c.blocked.Store(true)
		c.waiter = r.db.wait(keys, func(key string) bool {
			c.req.ready = key
			c.req.call(&c.late)
			c.req.ready = ""
			return len(c.late.buf) > 0
		})
	}
}

// move makes LMOVE and BLMOVE.
func cmdLMove(w *writer, r *request) {
	from, to := r.next(), r.next()
	r.move(w, from, to, r.side(), r.side())
}

// cmdRPopLPush is RPOPLPUSH and BRPOPLPUSH.
func cmdRPopLPush(w *writer, r *request) { r.move(w, r.next(), r.next(), back, front) }

// move takes an element from one list and adds it to another; before a timeout it waits for one.
func (r *request) move(w *writer, from, to string, take, put end) {
	timeout := time.Duration(0)
	if r.more() {
		timeout = r.timeout()
	}
	_, source := filled[list](r, []string{from})
	if source == nil {
		r.block([]string{from}, timeout, w.null)
		return
	}
	dest := source
	if from != to {
		dest = edit[list](r, to)
	}
	s := source.pop(take)
	dest.push(put, s)
	r.changed(to, [...]string{"lpush", "rpush"}[put], 1)
	r.changed(from, [...]string{"lpop", "rpop"}[take], 1)
	w.bulk(s)
}

// element returns element i of a list in place, counted from the end when negative; nil when there is none.
func element(l *list, i int64) *string {
	if i < 0 {
		i += int64(l.len())
	}
	if i < 0 || i >= int64(l.len()) {
		return nil
	}
	return l.at(int(i))
}

func cmdLIndex(w *writer, r *request) {
	if l := read[list](r, r.next()); l.len() > 0 {
		w.place(element(l, r.int()))
	} else {
		w.null() // whatever the index says
	}
}

func cmdLSet(w *writer, r *request) {
	key := r.next()
	l := read[list](r, key)
	failIf(l.len() == 0, errNoKey)
	p := element(l, r.int())
	failIf(p == nil, "ERR index out of range")
	*p = r.next()
	r.changed(key, "lset", 1)
	w.ok()
}

func cmdLRange(w *writer, r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	l := read[list](r, key)
	i, j := span(start, stop, l.len())
	w.array(j - i)
	for _, e := range l.span(i, j, false) {
		w.bulk(e)
	}
}

func cmdLTrim(w *writer, r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	if l := edit[list](r, key); l.len() > 0 {
		i, j := span(start, stop, l.len())
		k, at := l.place(j)
		removed := l.len() - (j - i)
		l.cut(k, at, l.len()-j)
		l.cut(0, 0, i)
		r.changed(key, "ltrim", max(removed, 1))
	}
	w.ok()
}

func cmdLRem(w *writer, r *request) {
	key, count, s := r.next(), r.int(), r.next()
	l := edit[list](r, key)
	from, kept, removed := front, &list{}, 0
	if count < 0 {
		from, count = back, -max(count, -math.MaxInt64)
	}
	for _, e := range l.span(0, l.len(), from == back) {
		if e == s && (count == 0 || removed < int(count)) {
			removed++
		} else {
			kept.push(1-from, e)
		}
	}
	*l = *kept
	r.changed(key, "lrem", removed)
	w.int(removed)
}

func cmdLInsert(w *writer, r *request) {
	key, offset, pivot, s := r.next(), r.oneOf("BEFORE", "AFTER"), r.next(), r.next()
	l := read[list](r, key)
	at := positions(l, pivot, 1, 1, 0)
	switch {
	case len(at) > 0:
		k, at := l.place(at[0] + offset)
		l.insert(k, at, s)
		r.changed(key, "linsert", 1)
		w.int(l.len())
	case l.len() > 0:
		w.int(-1)
	default:
		w.int(0)
	}
}

func cmdLPos(w *writer, r *request) {
	key, s := r.next(), r.next()
	rank, count, most := int64(1), -1, 0
	r.options("RANK", func() {
		rank = r.int()
		failIf(rank == math.MinInt64, errCountRange)
		failIf(rank == 0, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "+
			"... or use negative to start from the end of the list")
	}, "COUNT", func() { count = r.atLeast(0, "ERR COUNT can't be negative") },
		"MAXLEN", func() { most = r.atLeast(0, "ERR MAXLEN can't be negative") })
	found := positions(read[list](r, key), s, rank, max(count, -count), most)
	switch {
	case count >= 0:
		w.array(len(found))
		for _, i := range found {
			w.int(i)
		}
	case len(found) > 0:
		w.int(found[0])
	default:
		w.null()
	}
}

// --- hash --------------------------------------------------------------------

// cmdHSet is HSET, which replies with the number of new fields, and HMSET.
func cmdHSet(w *writer, r *request) {
	key, list, added := r.next(), r.pairs(), 0
	h := edit[hash](r, key)
	for i := 0; i < len(list); i += 2 {
		if h.put(list[i], list[i+1]) {
			added++
		}
	}
	r.changed(key, "hset", len(list)/2)
	w.done(r.cmd.name == "hset", added)
}

func cmdHSetNX(w *writer, r *request) {
	key, field, v := r.next(), r.next(), r.next()
	h := edit[hash](r, key)
	isNew := !h.has(field)
	if isNew {
		h.put(field, v)
		r.changed(key, "hset", 1)
	}
	w.bit(isNew)
}

func cmdHGet(w *writer, r *request) { w.place(read[hash](r, r.next()).get(r.next())) }

// lookAll makes HMGET, SMISMEMBER and ZMSCORE.
func lookAll[V any](see view[V]) handler {
	return func(w *writer, r *request) {
		d := see.find(r, r.next())
		w.array(r.left())
		for _, name := range r.rest() {
			see.put(w, d.get(name))
		}
	}
}

// has makes HEXISTS and SISMEMBER.
func has[V any](w *writer, r *request) { w.bit(read[dict[V]](r, r.next()).has(r.next())) }

func cmdHStrLen(w *writer, r *request) {
	v := read[hash](r, r.next()).get(r.next())
	w.int(len(*cmp.Or(v, new(string))))
}

// remove is HDEL and SREM.
func remove[V any](w *writer, r *request) {
	key := r.next()
	d := edit[dict[V]](r, key)
	n := r.tally(func(name string) bool { _, ok := d.remove(name); return ok })
	r.changed(key, r.cmd.name, n)
	w.int(n)
}

// cmdHGetAll is HGETALL, HKEYS and HVALS.
func cmdHGetAll(w *writer, r *request) {
	h, names, values := read[hash](r, r.next()), r.cmd.name != "hvals", r.cmd.name != "hkeys"
	if names && values {
		w.mapOf(h.len())
	} else {
		w.array(h.len())
	}
	for field, v := range h.all() {
		if names {
			w.bulk(field)
		}
		if values {
			w.bulk(*v)
		}
	}
}

func cmdHIncrBy(w *writer, r *request) {
	key, field, by, n := r.next(), r.next(), r.int(), int64(0)
	h := edit[hash](r, key)
	if old := h.get(field); old != nil {
		var ok bool
		n, ok = parseInt(*old)
		failIf(!ok, "ERR hash value is not an integer")
	}
	n = plus(n, by)
	h.put(field, strconv.FormatInt(n, 10))
	r.changed(key, "hincrby", 1)
	w.int64(n)
}

func cmdHIncrByFloat(w *writer, r *request) {
	key, field, by, old := r.next(), r.next(), r.next(), "0"
	f, ok := parseDecimal(by)
	failIf(!ok, errNotFloat)
	failIf(f.IsInf(), "ERR value is NaN or Infinity")
	h := edit[hash](r, key)
	if v := h.get(field); v != nil {
		old = *v
	}
	text := plusDecimal(old, by, "ERR hash value is not a float")
	h.put(field, text)
	r.changed(key, "hincrbyfloat", 1)
	w.bulk(text)
}

// random makes HRANDFIELD, SRANDMEMBER and ZRANDMEMBER.
func random[V any](see view[V]) handler {
	return func(w *writer, r *request) {
		key, counts, count, values := r.next(), r.more(), int64(1), false
		failIf(see.word == "" && r.left() > 1, errSyntax)
		if counts {
			count = r.int()
			failIf(count == math.MinInt64, errCountRange)
		}
		if r.more() {
			values = strings.EqualFold(r.next(), see.word)
			failIf(!values || r.more(), errSyntax)
			failIf(count < -math.MaxInt64/2 || count > math.MaxInt64/2, "ERR value is out of range")
		}
		d := see.find(r, key)
		switch {
		case !counts && d.len() == 0:
			w.null()
			return
		case !counts:
			w.bulk(d.random().key)
			return
		case d.len() == 0:
			count = 0
		}
		n := int(max(min(count, int64(d.len())), -count))
		w.rows(n, values)
		for i := range d.picks(count) {
			e := d.at(i)
			w.row(values)
			w.bulk(e.key)
			if values {
				see.put(w, &e.value)
			}
		}
	}
}

// scan makes HSCAN, SSCAN and ZSCAN.
func scan[V any](see view[V]) handler {
	return func(w *writer, r *request) {
		key, from, n := r.next(), r.cursor(), 0
		d, pattern, count := see.find(r, key), "", 0
		if d.len() > 0 { // else Redis does not look at them
			pattern, count = r.scanOptions()
		}
		found := writer{} // without RESP 3: scores are strings here
		cursor := d.scan(from, count, func(name string, v *V) {
			if !match(pattern, name) {
				return
			}
			found.bulk(name)
			n++
			if see.word != "" {
				see.put(&found, v)
				n++
			}
		})
		w.array(2)
		w.bulk(strconv.FormatUint(cursor, 10))
		w.array(n)
		w.buf = append(w.buf, found.buf...)
	}
}

// A view is how hashes, sets and sorted sets look alike: a dict, how a value in it is
// written, nil for none, and the word that asks for values beside the names.
type view[V any] struct {
	find func(r *request, key string) *dict[V]
	put  func(w *writer, v *V)
	word string
}

var (
	fieldsOf  = view[string]{read[hash], (*writer).place, "WITHVALUES"}
	membersOf = view[struct{}]{read[set], func(w *writer, v *struct{}) { w.bit(v != nil) }, ""}
	scoresOf  = view[float64]{scoresAt, putScore, "WITHSCORES"}
)

func scoresAt(r *request, key string) *dict[float64] { return &read[zset](r, key).scores }

func putScore(w *writer, v *float64) {
	if v != nil {
		w.double(*v)
	} else {
		w.null()
	}
}

// --- set ---------------------------------------------------------------------

func cmdSAdd(w *writer, r *request) {
	key := r.next()
	s := edit[set](r, key)
	n := r.tally(func(m string) bool { return s.put(m, struct{}{}) })
	r.changed(key, "sadd", n)
	w.int(n)
}

func members[V any](w *writer, d *dict[V]) {
	w.set(d.len())
	for m := range d.all() {
		w.bulk(m)
	}
}

func cmdSMembers(w *writer, r *request) { members(w, read[set](r, r.next())) }

func cmdSMove(w *writer, r *request) {
	from, to, m := r.next(), r.next(), r.next()
	source := edit[set](r, from)
	if source.len() == 0 { // whatever is at the other
		w.int(0)
		return
	}
	dest, moves := edit[set](r, to), source.has(m)
	if moves && from != to {
		source.remove(m)
		r.changed(from, "srem", 1)
		r.changed(to, "sadd", oneIf(dest.put(m, struct{}{})))
	}
	w.bit(moves)
}

func cmdSPop(w *writer, r *request) {
	key := r.next()
	count, counts := r.lastCount()
	s := edit[set](r, key)
	count = min(count, s.len())
	switch {
	case counts:
		w.set(count)
	case count == 0:
		w.null()
	}
	for range count {
		m := s.random().key
		s.remove(m)
		w.bulk(m)
	}
	r.changed(key, "spop", count)
}

// --- set algebra -------------------------------------------------------------

// operation returns what a command of set algebra does, which is in its name.
func (c *command) operation() operation {
	switch {
	case strings.Contains(c.name, "union"):
		return union
	case strings.Contains(c.name, "inter"):
		return intersection
	}
	return difference
}

// operands returns what is at keys: sets and, where scores are wanted, sorted sets.
func (r *request) operands(keys []string, scores bool) []operand {
	list := make([]operand, len(keys))
	for i, key := range keys {
		object := container(&set{}) // when there is nothing
		if it := r.find(key); it != nil {
			object = it.object
		}
		s, isSet := object.(*set)
		z, isSorted := object.(*zset)
		failIf(!isSet && !(isSorted && scores), errWrongType)
		if isSet {
			list[i] = operandOf(s)
		} else {
			list[i] = operandOf(&z.scores)
		}
	}
	return list
}

// cmdSetAlgebra is SUNION, SINTER, SDIFF, and those that store the result.
func cmdSetAlgebra(w *writer, r *request) {
	dest := r.destination()
	result := r.cmd.operation().combine(r.operands(r.rest(), false), sum, 0)
	if dest == nil {
		members(w, result)
		return
	}
	s := &set{}
	for m := range result.all() {
		s.put(m, struct{}{})
	}
	r.replace(w, *dest, s)
}

// cmdScoreAlgebra is ZUNION, ZINTER, ZDIFF, and those that store the result.
func cmdScoreAlgebra(w *writer, r *request) {
	dest, op := r.destination(), r.cmd.operation()
	operands, how, withScores := r.sortedOperands(), sum, false
	var known []any
	if op != difference {
		known = append(known, "WEIGHTS", func() {
			failIf(r.left() < len(operands), errSyntax)
			for i := range operands {
				operands[i].weight = r.score("ERR weight value is not a float")
			}
		}, "AGGREGATE", func() { how = aggregate(r.oneOf("SUM", "MIN", "MAX")) })
	}
	if dest == nil {
		known = append(known, "WITHSCORES", &withScores)
	}
	r.options(known...)
	z := &zset{}
	for m, score := range op.combine(operands, how, 0).all() {
		z.add(m, *score)
	}
	if dest != nil {
		r.replace(w, *dest, z)
	} else {
		w.ranked(z, 0, z.len(), false, withScores)
	}
}

// sortedOperands reads the number of keys and then the keys.
func (r *request) sortedOperands() []operand {
	n := r.int()
	failIf(n < 1, "ERR at least 1 input key is needed for '%s' command", r.cmd.name)
	failIf(n > int64(r.left()), errSyntax)
	return r.operands(r.several(int(n)), true)
}

// cmdInterCard is SINTERCARD and ZINTERCARD.
func cmdInterCard(w *writer, r *request) {
	var keys []string
	var operands []operand
	if r.cmd.name == "sintercard" {
		keys = r.keysAfterCount("ERR Number of keys can't be greater than number of args")
	} else {
		operands = r.sortedOperands()
	}
	limit := 0
	r.options("LIMIT", func() { limit = r.atLeast(0, "ERR LIMIT can't be negative") })
	if keys != nil { // it looks at them last
		operands = r.operands(keys, false)
	}
	w.int(intersection.combine(operands, sum, limit).len())
}

// destination reads the key that a command stores its result in; nil for one that replies with it.
func (r *request) destination() *string {
	if r.cmd.flags&write == 0 {
		return nil
	}
	key := r.next()
	return &key
}

// replace gives key a new container and no deadline, and replies with its length; one of 0 deletes the key.
func (r *request) replace(w *writer, key string, c container) {
	existed := r.find(key) != nil
	r.db.remove(key)
	switch {
	case c.len() > 0:
		r.put(key, item{object: c})
		r.changed(key, r.cmd.name, c.len())
	case existed:
		r.changed(key, "del", 1)
	}
	w.int(c.len())
}

// --- sorted set --------------------------------------------------------------

// score reads a score; e is thrown when it is none.
func (r *request) score(e replyError) float64 {
	f, ok := parseDouble(r.next())
	failIf(!ok, e)
	return f
}

// ranked writes the members with rank i up to and without j.
func (w *writer) ranked(z *zset, i, j int, reverse, withScores bool) {
	w.rows(j-i, withScores)
	for _, e := range z.order.span(i, j, reverse) {
		w.row(withScores)
		w.bulk(e.member)
		if withScores {
			w.double(e.score)
		}
	}
}

// zaddOptions are what words before the scores of ZADD say.
type zaddOptions struct{ nx, xx, gt, lt, ch, incr bool }

func cmdZAdd(w *writer, r *request) {
	key, o := r.next(), zaddOptions{}
	known := map[string]*bool{"NX": &o.nx, "XX": &o.xx, "GT": &o.gt, "LT": &o.lt,
		"CH": &o.ch, "INCR": &o.incr}
	for r.more() && known[strings.ToUpper(r.words[r.pos])] != nil {
		*known[r.option()] = true
	}
	n := r.left()
	switch {
	case n == 0 || n%2 != 0:
		fail(errSyntax)
	case o.nx && o.xx:
		fail("ERR XX and NX options at the same time are not compatible")
	case (o.gt || o.lt) && o.nx || o.gt && o.lt:
		fail("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.incr && n > 2:
		fail("ERR INCR option supports a single increment-element pair")
	}
	r.zadd(w, key, o)
}

// ZINCRBY is ZADD INCR without other options.
func cmdZIncrBy(w *writer, r *request) { r.zadd(w, r.next(), zaddOptions{incr: true}) }

// zadd adds the members that follow; with incr it is one, and its score the reply.
func (r *request) zadd(w *writer, key string, o zaddOptions) {
	var list []scored
	for r.more() {
		list = append(list, scored{r.score(errNotFloat), r.next()})
	}
	z, added, updated, event := edit[zset](r, key), 0, 0, "zadd"
	for _, e := range list {
		old := z.scores.get(e.member)
		if o.incr && old != nil {
			if e.score += *old; math.IsNaN(e.score) {
				fail("ERR resulting score is not a number (NaN)")
			}
		}
		skip := o.xx
		if old != nil {
			skip = o.nx || o.gt && e.score <= *old || o.lt && e.score >= *old
		}
		switch {
		case skip && o.incr:
			w.null()
		case o.incr:
			w.double(e.score)
			event = "zincr"
		}
		if skip {
			continue
		}
		if old != nil && *old != e.score {
			updated++
		}
		if z.add(e.member, e.score) {
			added++
		}
	}
	r.changed(key, event, added+updated)
	switch {
	case o.incr:
	case o.ch:
		w.int(added + updated)
	default:
		w.int(added)
	}
}

func cmdZRem(w *writer, r *request) {
	key := r.next()
	z := edit[zset](r, key)
	n := r.tally(z.remove)
	r.changed(key, "zrem", n)
	w.int(n)
}

func cmdZScore(w *writer, r *request) { putScore(w, scoresOf.find(r, r.next()).get(r.next())) }

// cmdZRank is ZRANK and ZREVRANK.
func cmdZRank(w *writer, r *request) {
	z, m := read[zset](r, r.next()), r.next()
	score := z.scores.get(m)
	if score == nil {
		w.null()
		return
	}
	rank := z.rank(scored{*score, m}.follows)
	if r.cmd.name == "zrevrank" {
		rank = z.len() - 1 - rank
	}
	w.int(rank)
}

// An order says by what a range of a sorted set is cut out.
type order int

const (
	byRank order = iota
	byScore
	byLex
)

// order returns what a command cuts a range by, which is in its name.
func (c *command) order() order {
	switch {
	case strings.Contains(c.name, "lex"):
		return byLex
	case strings.Contains(c.name, "score") || c.name == "zcount":
		return byScore
	}
	return byRank
}

// interval reads the two ends of a range, and returns what finds it: the ranks i up to and without j.
func interval(by order, first, last string) func(z *zset) (i, j int) {
	if by == byRank {
		start, stop := toInt(first), toInt(last)
		return func(z *zset) (int, int) { return span(start, stop, z.len()) }
	}
	read := scoreBorder
	if by == byLex {
		read = lexBorder
	}
	low, high := read(first, false), read(last, true)
	return func(z *zset) (int, int) {
		i := z.rank(low)
		return i, max(i, z.rank(high))
	}
}

// scoreBorder reads a score, with ( before it when it is not part of the range. It
// is less strict than ZADD: space before it is skipped, and nothing at all is 0.
func scoreBorder(s string, upper bool) border {
	text, exclusive := strings.CutPrefix(s, "(")
	f, ok := strtod(strings.TrimLeft(text, " \t\n\v\f\r"))
	failIf(!ok && text != "", "ERR min or max is not a float")
	equal := exclusive != upper // what equals the border lies before it
	return func(e *scored) bool { return e.score < f || equal && e.score == f }
}

// lexBorder reads [member, (member, - or +.
func lexBorder(s string, upper bool) border {
	switch {
	case s == "-" || s == "+":
		return func(e *scored) bool { return s == "+" }
	case s == "" || s[0] != '[' && s[0] != '(':
		fail("ERR min or max not valid string range item")
	}
	equal := (s[0] == '(') != upper
	return func(e *scored) bool { return e.member < s[1:] || equal && e.member == s[1:] }
}

// cmdZRange is all ranges of members; ZRANGE and ZRANGESTORE have options for what the names of others say.
func cmdZRange(w *writer, r *request) {
	dest, by, known := r.destination(), r.cmd.order(), []any(nil)
	reverse := strings.Contains(r.cmd.name, "rev")
	key, first, last := r.next(), r.next(), r.next()
	withScores, offset, count := false, int64(0), int64(-1)
	if strings.Contains(r.cmd.usage, "REV]") {
		known = append(known, "REV", func() { failIf(reverse, errSyntax); reverse = true },
			"BYSCORE", func() { failIf(by != byRank, errSyntax); by = byScore },
			"BYLEX", func() { failIf(by != byRank, errSyntax); by = byLex })
	}
	if dest == nil {
		known = append(known, "WITHSCORES", &withScores)
	}
	r.options(append(known, "LIMIT", func() { offset, count = r.int(), r.int() })...)
	failIf(count != -1 && by == byRank,
		"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	failIf(withScores && by == byLex,
		"ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	if reverse && by != byRank {
		first, last = last, first
	}
	find := interval(by, first, last)
	z := read[zset](r, key)
	i, j := find(z)
	if by == byRank {
		offset = 0 // whatever LIMIT said
		if reverse {
			i, j = z.len()-j, z.len()-i
		}
	}
	if offset < 0 || offset > int64(j-i) {
		offset = int64(j - i)
	}
	size := j - i - int(offset)
	if count >= 0 {
		size = int(min(int64(size), count))
	}
	if i += int(offset); reverse {
		i = j - int(offset) - size
	}
	if dest == nil {
		w.ranked(z, i, i+size, reverse, withScores)
		return
	}
	result := &zset{}
	for _, e := range z.order.span(i, i+size, false) {
		result.add(e.member, e.score)
	}
	r.replace(w, *dest, result)
}

// cmdZCount is ZCOUNT and ZLEXCOUNT.
func cmdZCount(w *writer, r *request) {
	key := r.next()
	find := interval(r.cmd.order(), r.next(), r.next())
	i, j := find(read[zset](r, key))
	w.int(j - i)
}

// cmdZRemRange is ZREMRANGEBYRANK, ZREMRANGEBYSCORE and ZREMRANGEBYLEX.
func cmdZRemRange(w *writer, r *request) {
	key := r.next()
	find := interval(r.cmd.order(), r.next(), r.next())
	z := edit[zset](r, key)
	i, j := find(z)
	z.cut(i, j, false)
	r.changed(key, r.cmd.name, j-i)
	w.int(j - i)
}

// cmdZPop is ZPOPMIN and ZPOPMAX.
func cmdZPop(w *writer, r *request) {
	key := r.next()
	count, counts := r.lastCount()
	z := edit[zset](r, key)
	count = min(count, z.len())
	begin := func() {}
	if counts {
		begin = func() { w.row(true) }
		w.rows(count, true)
	} else {
		w.array(2 * count)
	}
	r.take(w, key, z, r.cmd.end(), count, begin)
}

// --- pub/sub -----------------------------------------------------------------

// topics returns the kind of topics that a command is about, which is in its name.
func (c *command) topics() int { return oneIf(c.name[0] == 'p') }

// cmdSubscribe is SUBSCRIBE and PSUBSCRIBE.
func cmdSubscribe(w *writer, r *request) {
	kind := r.cmd.topics()
	for _, topic := range r.rest() {
		r.setShared(func() {
			r.subscribe(kind, topic)
			r.tell(w, &topic)
			r.handOver() // before anybody can publish
		})
	}
}

// tell confirms a subscription or its end.
func (r *request) tell(w *writer, topic *string) {
	w.push(3)
	w.bulk(r.cmd.name)
	w.place(topic)
	w.int(r.subscriptions())
}

// cmdUnsubscribe is UNSUBSCRIBE and PUNSUBSCRIBE, which without arguments mean all.
func cmdUnsubscribe(w *writer, r *request) {
	kind := r.cmd.topics()
	topics := r.rest()
	if len(topics) == 0 {
		topics = slices.Collect(maps.Keys(r.topics[kind]))
	}
	if len(topics) == 0 {
		r.tell(w, nil)
	}
	for _, topic := range topics {
		r.setShared(func() { r.unsubscribe(kind, topic) })
		r.tell(w, &topic)
	}
	r.handOver()
}

func cmdPublish(w *writer, r *request) { w.int(r.server.publish(r.next(), r.next())) }

func cmdPubsubChannels(w *writer, r *request) {
	pattern, found := "*", []string{}
	failIf(r.left() > 1,
		"ERR unknown subcommand or wrong number of arguments for '%s'. Try PUBSUB HELP.", r.words[1])
	if r.more() {
		pattern = r.next()
	}
	r.setShared(func() {
		for channel := range r.server.topics[channels] {
			if match(pattern, channel) {
				found = append(found, channel)
			}
		}
	})
	w.bulks(found)
}

func cmdPubsubNumPat(w *writer, r *request) {
	r.setShared(func() { w.int(len(r.server.topics[patterns])) })
}

func cmdPubsubNumSub(w *writer, r *request) {
	w.array(2 * r.left())
	for _, channel := range r.rest() {
		w.bulk(channel)
		r.setShared(func() { w.int(len(r.server.topics[channels][channel])) })
	}
}

func cmdMonitor(w *writer, r *request) {
	failIf(r.nested, "ERR MONITOR isn't allowed for DENY BLOCKING client")
	w.ok()
	if !r.spying {
		r.setShared(func() { r.spying = true; r.handOver() })
		r.server.spied.Add(1)
	}
}

// --- transactions ------------------------------------------------------------

func cmdMulti(w *writer, r *request) {
	failIf(r.queueing(), "ERR MULTI calls can not be nested")
	r.setShared(func() { r.queued = 0 })
	w.ok()
}

// discard ends a transaction, and forgets what it waited for and watched.
func (r *request) discard() {
	r.aborted, r.queue = false, nil
	r.watcher.unwatch()
	r.setShared(func() { r.queued = -1 })
}

func cmdDiscard(w *writer, r *request) {
	failIf(!r.queueing(), "ERR DISCARD without MULTI")
	r.discard()
	w.ok()
}

func cmdExec(w *writer, r *request) {
	failIf(!r.queueing(), "ERR EXEC without MULTI")
	queue, aborted, intact := r.queue, r.aborted, r.watcher.intact(r.now)
	r.discard()
	switch {
	case aborted:
		fail("EXECABORT Transaction discarded because of previous errors.")
	case !intact:
		w.nullArray()
		return
	}
	w.array(len(queue))
	for _, q := range queue {
		sub := request{conn: r.conn, cmd: q.cmd, words: q.words, nested: true}
		sub.call(w)
	}
}

func cmdWatch(w *writer, r *request) {
	failIf(r.queueing(), "ERR WATCH inside MULTI is not allowed")
	for _, key := range r.rest() {
		r.find(key) // which removes a dead one
		r.db.watch(&r.watcher, key)
	}
	w.ok()
}

func cmdUnwatch(w *writer, r *request) {
	r.watcher.unwatch()
	w.ok()
}

// --- server ------------------------------------------------------------------

func cmdDBSize(w *writer, r *request) { w.int(r.db.keys.len()) }

func cmdTime(w *writer, r *request) {
	now := r.store.clock.micros()
	w.bulks([]string{strconv.FormatInt(now/1e6, 10), strconv.FormatInt(now%1e6, 10)})
}

// cmdFlush is FLUSHDB and FLUSHALL. ASYNC and SYNC make no difference: it takes no time.
func cmdFlush(w *writer, r *request) {
	r.options("ASYNC", r.end, "SYNC", r.end)
	for _, d := range r.store.dbs {
		if d == r.db || r.cmd.name == "flushall" {
			r.store.changes += int64(d.keys.len()) + 1
			d.replace(&db{}, r.now)
		}
	}
	w.ok()
}

func cmdSwapDB(w *writer, r *request) {
	a := r.dbIndex("ERR invalid first DB index")
	b := r.dbIndex("ERR invalid second DB index")
	was := *a
	a.replace(b, r.now)
	b.replace(&was, r.now)
	for _, d := range []*db{a, b} {
		for key := range d.waiting {
			r.store.signal(d, key)
		}
	}
	r.store.changes++
	w.ok()
}

func cmdSave(w *writer, r *request) {
	r.saved(r.server.save(false))
	w.ok()
}

func cmdBGSave(w *writer, r *request) {
	r.options("SCHEDULE", r.end)
	r.saved(r.server.saveInBackground())
	w.simple("Background saving started")
}

// saved throws what went wrong with a save.
func (r *request) saved(err error) {
	failIf(err == errSaving, "ERR Background save already in progress")
	failIf(err != nil, "ERR")
}

func cmdLastSave(w *writer, r *request) { w.int64(r.server.saver.last.Load()) }

func cmdShutdown(w *writer, r *request) {
	var save, noSave, now, force, abort bool
	r.options("SAVE", &save, "NOSAVE", &noSave, "NOW", &now, "FORCE", &force, "ABORT", &abort)
	failIf(save && noSave || abort && (save || noSave || now || force), errSyntax)
	failIf(abort, "ERR No shutdown in progress.")
	save = save || !noSave && r.server.config.get("save") != ""
	slog.Info("User requested shutdown...")
	r.closing = true // so that the shutdown need not wait for us
	go func() {
		if err := r.server.shutdown(save); err != nil {
			slog.Error("Shutdown failed", "err", err)
		}
	}()
}

func cmdCluster(w *writer, r *request) { fail("ERR This instance has cluster support disabled") }

func cmdConfigGet(w *writer, r *request) {
	patterns, found := r.rest(), fields{}
	for _, s := range settings {
		if slices.ContainsFunc(patterns, func(p string) bool { return match(strings.ToLower(p), s.name) }) {
			found = append(found, s.name, r.server.config.get(s.name))
		}
	}
	w.any(found)
}

func cmdConfigSet(w *writer, r *request) {
	failIf(r.left()%2 != 0, errSyntax)
	values := make(map[string]string)
	for list := r.rest(); len(list) > 0; list = list[2:] {
		name := strings.ToLower(list[0])
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		failIf(i < 0, "ERR Unknown option or number of arguments for CONFIG SET - '%s'", list[0])
		v, err := settings[i].check(list[1])
		if _, twice := values[name]; twice {
			err = errors.New("duplicate parameter")
		} else if settings[i].fixed != "" {
			err = errors.New("can't set " + settings[i].fixed + " config")
		}
		failIf(err != nil, "ERR CONFIG SET failed (possibly related to argument '%s') - %v", list[0], err)
		values[name] = v
	}
	r.server.config.set(values)
	w.ok()
}

func cmdConfigResetStat(w *writer, r *request) {
	s := r.server
	counters := []*atomic.Int64{&s.hits, &s.misses, &s.accepted, &s.refused, &s.store.expired}
	for _, c := range allCommands() {
		counters = append(counters, &c.calls, &c.usec, &c.fails, &c.turns)
	}
	for _, n := range counters {
		n.Store(0)
	}
	w.ok()
}

func cmdInfo(w *writer, r *request) {
	asked := make(map[string]bool)
	for _, section := range r.rest() {
		asked[strings.ToLower(section)] = true
	}
	every := asked["all"] || asked["everything"]
	usual := len(asked) == 0 || asked["default"]
	var b strings.Builder
	for _, s := range r.info() {
		if every || usual && s.name != "Commandstats" || asked[strings.ToLower(s.name)] {
			if b.Len() > 0 {
				b.WriteString("\r\n")
			}
			fmt.Fprintf(&b, "# %s\r\n", s.name)
			for pair := range slices.Chunk(s.facts, 2) {
				fmt.Fprintf(&b, "%s:%v\r\n", pair[0], pair[1])
			}
		}
	}
	w.verbatim(b.String())
}

// A section is a part of INFO.
type section struct {
	name  string
	facts fields
}

// info returns what INFO tells, the last section only to those who ask for it.
func (r *request) info() []section {
	s, saves := r.server, &r.server.saver
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	up := int64(time.Since(s.started).Seconds())
	clients, blocked := s.allClients(), 0
	for _, c := range clients {
		blocked += oneIf(c.blocked.Load())
	}
	heap, total := memoryUse()
	megabytes := func(n uint64) string { return fmt.Sprintf("%.2fM", float64(n)/(1<<20)) }
	status, running, current := "ok", 0, int64(-1)
	if saves.failing.Load() {
		status = "err"
	}
	if began := saves.background.Load(); began != 0 {
		running, current = 1, time.Now().Unix()-began
	}
	var keyspace, stats fields
	for _, d := range r.store.dbs {
		if d.keys.len() > 0 {
			keyspace = append(keyspace, fmt.Sprintf("db%d", d.id),
				fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", d.keys.len(), d.mortal.len(), d.ttl))
		}
	}
	for _, c := range allCommands() {
		calls, usec, turns, fails := c.calls.Load(), c.usec.Load(), c.turns.Load(), c.fails.Load()
		if calls+turns > 0 {
			stats = append(stats, "cmdstat_"+c.name, fmt.Sprintf(
				"calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
				calls, usec, float64(usec)/float64(max(calls, 1)), turns, fails))
		}
	}
	return []section{
		{"Server", fields{"redis_version", redisVersion, "redis_lite_version", liteVersion,
			"run_id", s.runID, "redis_mode", "standalone", "os", runtime.GOOS + " " + runtime.GOARCH,
			"tcp_port", port, "arch_bits", strconv.IntSize, "go_version", runtime.Version(),
			"process_id", os.Getpid(), "server_time_usec", r.store.clock.micros(), "uptime_in_seconds", up,
			"uptime_in_days", up / 86400, "hz", int64(time.Second / samplerPause)}},
		{"Clients", fields{"connected_clients", len(clients), "maxclients", s.config.get("maxclients"),
			"blocked_clients", blocked}},
		{"Memory", fields{"used_memory", heap, "used_memory_human", megabytes(heap), "used_memory_rss", total,
			"used_memory_rss_human", megabytes(total), "maxmemory", 0, "maxmemory_human", "0B",
			"maxmemory_policy", "noeviction", "mem_allocator", runtime.Version()}},
		{"Persistence", fields{"loading", 0, "rdb_changes_since_last_save", r.store.changes, "aof_enabled", 0,
			"rdb_bgsave_in_progress", running, "rdb_last_save_time", saves.last.Load(),
			"rdb_last_bgsave_status", status, "rdb_last_bgsave_time_sec", saves.seconds.Load(),
			"rdb_current_bgsave_time_sec", current, "rdb_last_load_keys_expired", saves.expired,
			"rdb_last_load_keys_loaded", saves.loaded, "rdb_saves", saves.saves.Load()}},
		{"Stats", fields{"total_connections_received", s.accepted.Load(), "evicted_keys", 0,
			"total_commands_processed", totalCalls(), "instantaneous_ops_per_sec", s.speed.Load(),
			"rejected_connections", s.refused.Load(), "expired_keys", s.store.expired.Load(),
			"keyspace_hits", s.hits.Load(), "keyspace_misses", s.misses.Load()}},
		{"Replication", fields{"role", "master", "connected_slaves", 0}},
		{"Cluster", fields{"cluster_enabled", 0}},
		{"Keyspace", keyspace},
		{"Commandstats", stats},
	}
}

// memoryUse returns the bytes in live and not yet collected objects, and all that Go holds of the system.
func memoryUse() (heap, total uint64) {
	var use [3]metrics.Sample
	for i, class := range []string{"heap/objects", "total", "heap/released"} {
		use[i].Name = "/memory/classes/" + class + ":bytes"
	}
	metrics.Read(use[:])
	heap, total = use[0].Value.Uint64(), use[1].Value.Uint64()-use[2].Value.Uint64()
	return heap, total
}

// totalCalls returns how many commands have run.
func totalCalls() (n int64) {
	for _, c := range allCommands() {
		n += c.calls.Load()
	}
	return n
}

// allCommands returns the commands in the order of their names, each with its subcommands behind it.
var allCommands = sync.OnceValue(func() []*command { return listed(commands) })

// topCommands returns the commands without their subcommands.
var topCommands = sync.OnceValue(func() []*command {
	return slices.DeleteFunc(listed(commands), func(c *command) bool { return c.named == 2 })
})

func listed(m map[string]*command) (list []*command) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name == strings.ToLower(name) { // and not the same in capitals
			list = append(append(list, m[name]), listed(m[name].subs)...)
		}
	}
	return list
}

// --- COMMAND -----------------------------------------------------------------

func cmdCommandCount(w *writer, r *request) { w.int(len(topCommands())) }

// selected returns the commands that the arguments name, like "get" or
// "config|set", nil for each that there is not; all when there are no arguments.
func (r *request) selected() (list []*command) {
	if !r.more() {
		return topCommands()
	}
	for _, name := range r.rest() {
		first, second, isSub := strings.Cut(strings.ToLower(name), "|")
		c := commands[first]
		if isSub && c != nil {
			c = c.subs[second]
		}
		list = append(list, c)
	}
	return list
}

func cmdCommandInfo(w *writer, r *request) {
	list := r.selected()
	w.array(len(list))
	for _, c := range list {
		if c != nil {
			w.any(c.info())
		} else {
			w.null()
		}
	}
}

// info is what COMMAND INFO says of a command.
func (c *command) info() []any {
	var subs any = names{} // when there are none
	if c.subs != nil {
		list := []any{}
		for _, sub := range listed(c.subs) {
			list = append(list, sub.info())
		}
		subs = list
	}
	return []any{c.name, c.arity, c.flagList(), c.keys.first, c.keys.last, c.keys.step,
		c.categories(), names{}, names{}, subs}
}

func (c *command) flagList() (list names) {
	for i, name := range flagNames {
		if c.flags&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// categories returns the ACL categories, which follow from group and flags.
func (c *command) categories() (list names) {
	add := func(when bool, name string) {
		if when {
			list = append(list, "@"+name)
		}
	}
	add(c.group.name == "generic", "keyspace")
	add(c.flags&readonly != 0, "read")
	add(c.flags&write != 0, "write")
	name := strings.TrimSuffix(strings.ReplaceAll(c.group.name, "-", ""), "s") // as in transactions
	add(c.group.name != "generic" && c.group.name != "server", name)
	add(c.flags&admin != 0, "admin")
	add(c.flags&admin != 0, "dangerous")
	add(c.flags&blocking != 0, "blocking")
	add(c.flags&fast != 0, "fast")
	add(c.flags&fast == 0, "slow")
	return list
}

func cmdCommandList(w *writer, r *request) {
	list, kind, word, found := topCommands(), "", "", []string{}
	r.options("FILTERBY", func() {
		kind, word, list = r.option(), strings.ToLower(r.next()), allCommands()
		failIf(r.more() || !slices.Contains([]string{"MODULE", "ACLCAT", "PATTERN"}, kind), errSyntax)
	})
	for _, c := range list {
		if kind == "" || kind == "PATTERN" && match(word, c.name) ||
			kind == "ACLCAT" && slices.Contains(c.categories(), "@"+word) {
			found = append(found, c.name)
		}
	}
	w.bulks(found)
}

func cmdCommandGetKeys(w *writer, r *request) {
	words := r.rest()
	c, refusal := lookup(words)
	failIf(c == nil, "ERR Invalid command specified")
	failIf(c.keys == keys{}, "ERR The command has no key arguments")
	failIf(refusal != "", "ERR Invalid number of arguments specified for command")
	found := slices.Collect(c.keys.in(words))
	failIf(found == nil, "ERR Invalid arguments specified for command")
	w.bulks(found)
}

func cmdCommandDocs(w *writer, r *request) {
	docs := fields{}
	for _, c := range r.selected() {
		if c != nil {
			docs = append(docs, c.name, c.docs())
		}
	}
	w.any(docs)
}

// docs is what COMMAND DOCS says of a command. redis-cli makes its hints of it.
func (c *command) docs() fields {
	doc := fields{"summary", c.summary, "group", c.group.name}
	words := strings.Fields(c.usage)
	if args := parseSequence(strings.Join(words[min(c.named, len(words)):], " ")); args != nil {
		doc = append(doc, "arguments", describeArguments(args))
	}
	if c.subs != nil {
		subs := fields{}
		for _, sub := range listed(c.subs) {
			subs = append(subs, sub.name, sub.docs())
		}
		doc = append(doc, "subcommands", subs)
	}
	return doc
}

// An argument is a piece of a usage line: a word, or a block or choice of others.
type argument struct {
	name, kind, token string // kind as COMMAND DOCS has it; token: the capitals before the value
	flags             names  // optional, multiple
	parts             []argument
}

// parseSequence reads a usage line: lower-case words stand for values, capitals for themselves, a|b for a
// choice, [ ] for what may be left out, and [key ...] behind key for what may be repeated.
func parseSequence(usage string) (args []argument) {
	token := "" // capitals that may belong to the value behind them
	flush := func() {
		if token != "" {
			args = append(args, argument{name: strings.ToLower(token), kind: "pure-token", token: token})
			token = ""
		}
	}
	for _, word := range splitUsage(usage, ' ') {
		inner, optional := strings.CutPrefix(word, "[")
		inner = strings.TrimSuffix(inner, "]")
		again, repeats := strings.CutSuffix(inner, " ...")
		switch {
		case word == "[...]": // whatever follows is not looked at
		case optional && repeats && token == "" && strings.Contains(usage, again+" "+word):
			if n := len(parseSequence(again)); n > 1 {
				parts := parseSequence(again)
				args = append(args[:len(args)-n], argument{name: "data", kind: "block", parts: parts})
			}
			last := &args[len(args)-1]
			last.flags = append(last.flags, "multiple")
		case optional:
			flush()
			a := parseChoice(again)
			if a.flags = (names{"optional"}); repeats {
				a.flags = append(a.flags, "multiple")
			}
			args = append(args, a)
		case strings.Contains(word, "|"):
			flush()
			args = append(args, parseChoice(word))
		case word == strings.ToUpper(word):
			flush()
			token = word
		default:
			args = append(args, argument{name: word, kind: argumentKind(word), token: token})
			token = ""
		}
	}
	flush()
	return args
}

// parseChoice reads alternatives, or the one sequence that there is.
func parseChoice(usage string) argument {
	if alternatives := splitUsage(usage, '|'); len(alternatives) > 1 {
		a := argument{name: "option", kind: "oneof"}
		for _, alternative := range alternatives {
			a.parts = append(a.parts, parseChoice(alternative))
		}
		return a
	}
	parts := parseSequence(usage)
	if len(parts) == 1 {
		return parts[0]
	}
	a := argument{name: strings.ToLower(strings.Fields(usage)[0]), kind: "block", parts: parts}
	a.token, a.parts[0].token = parts[0].token, ""
	return a
}

// splitUsage splits at a byte that stands outside of all brackets.
func splitUsage(usage string, at byte) (words []string) {
	depth, begin := 0, 0
	for i := 0; i <= len(usage); i++ {
		if i == len(usage) || usage[i] == at && depth == 0 {
			if i > begin {
				words = append(words, usage[begin:i])
			}
			begin = i + 1
			continue
		}
		depth += strings.Count("[", usage[i:i+1]) - strings.Count("]", usage[i:i+1])
	}
	return words
}

// argumentKind guesses the type of a value from its name.
func argumentKind(name string) string {
	for kind, words := range map[string]string{
		"key":       "key source destination newkey key1 key2 dst src",
		"pattern":   "pattern",
		"double":    "score weight",
		"unix-time": "unix-time-seconds unix-time-milliseconds",
		"integer": "seconds milliseconds count index index1 index2 offset start stop end cursor numkeys db " +
			"destination-db rank len num-matches decrement client-id timeout limit",
	} {
		if slices.Contains(strings.Fields(words), name) {
			return kind
		}
	}
	return "string"
}

func describeArguments(args []argument) (list []any) {
	for _, a := range args {
		doc := fields{"name", a.name, "type", a.kind}
		if a.token != "" {
			doc = append(doc, "token", a.token)
		}
		if a.flags != nil {
			doc = append(doc, "flags", a.flags)
		}
		if a.parts != nil {
			doc = append(doc, "arguments", describeArguments(a.parts))
		}
		list = append(list, doc)
	}
	return list
}
