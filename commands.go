package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
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

// A handler writes its reply to w, which is one but for SUBSCRIBE and what silences the server.
type handler func(w *writer, r *request)

// ok makes the handler of a command that answers OK when it is done.
func ok(do func(r *request)) handler {
	return func(w *writer, r *request) {
		do(r)
		w.ok()
	}
}

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
	besides   // runs while subscribed in RESP2, which cannot tell messages from replies
	debugging // only who may use DEBUG
	silent    // does not count as access to a key

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
	listens   = pubsub | session | besides
)

var flagNames = []string{"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading",
	"stale", "fast", "no_auth", "no_multi", "allow_busy", "no_async_loading", "skip_slowlog", "movablekeys"}
var keyNames = strings.Fields("key source destination newkey key1 key2 dst src destkey")

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
	trimming  = "MAXLEN|MINID [=|~] threshold [LIMIT count]"
	sorting   = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]"
)

var table = []group{{"bitmap", '$', []row{
	{"BITCOUNT key [start end [BYTE|BIT]]", "Counts the bits that are 1.", readonly, cmdBitCount},
	{"BITFIELD key [GET encoding offset] [[OVERFLOW WRAP|SAT|FAIL] SET|INCRBY encoding offset n] [...]",
		"Treats a string as integers.", grow, cmdBitField},
	{"BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]", "Reads.", fastRead, cmdBitField},
	{"BITOP AND|OR|XOR|NOT destkey key [key ...]", "Combines strings bit by bit.", grow, cmdBitOp},
	{"BITPOS key bit [start [end [BYTE|BIT]]]", "Finds the first bit of a kind.", readonly, cmdBitPos},
	{"GETBIT key offset", "Returns a bit of a string.", fastRead, cmdGetBit},
	{"SETBIT key offset value", "Sets a bit of a string, and returns the old one.", grow, cmdSetBit},
}}, {"connection", 0, []row{
	{"AUTH [username] password", "Gives the password.", greeting, ok(cmdAuth)},
	{"CLIENT CACHING YES|NO", "Says whether to track the next command.", session, ok(cmdClientCaching)},
	{"CLIENT GETNAME", "Returns the name of the connection.", session, cmdClientGetName},
	{"CLIENT GETREDIR", "Returns where invalidations go.", session, cmdClientGetRedir},
	{"CLIENT ID", "Returns the number of the connection.", session, cmdClientID},
	{"CLIENT INFO", "Describes the connection.", session, cmdClientInfo},
	{"CLIENT KILL ip:port|ID|TYPE|USER|ADDR|LADDR|SKIPME [...]", "Disconnects.", control, cmdClientKill},
	{"CLIENT LIST " + ofType + " [ID client-id [client-id ...]]", "Lists them.", control, cmdClientList},
	{"CLIENT NO-EVICT ON|OFF", "Accepts what has no effect here.", control, ok(cmdClientNoEvict)},
	{"CLIENT PAUSE timeout [WRITE|ALL]", "Stops them for so many ms.", control, ok(cmdClientPause)},
	{"CLIENT REPLY ON|OFF|SKIP", "Switches replies off and on.", session, cmdClientReply},
	{"CLIENT SETINFO lib-name|lib-ver value", "Names a library (7.2).", session, ok(cmdClientSetInfo)},
	{"CLIENT SETNAME connection-name", "Gives the connection a name.", session, ok(cmdClientSetName)},
	{"CLIENT TRACKING ON|OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] " +
		"[OPTOUT] [NOLOOP]", "Tells what changes of what it read.", session, ok(cmdClientTracking)},
	{"CLIENT TRACKINGINFO", "Describes that.", session, cmdClientTrackingInfo},
	{"CLIENT UNBLOCK client-id [TIMEOUT|ERROR]", "Ends a wait.", control | lockWrite, cmdClientUnblock},
	{"CLIENT UNPAUSE", "Ends the wait of all clients.", control, ok(cmdClientUnpause)},
	{"ECHO message", "Returns the message.", anytime | fast, cmdEcho},
	{"HELLO [protover [AUTH username password] [SETNAME clientname]]", "Sets RESP.", greeting, cmdHello},
	{"PING [message]", "Answers PONG, or the message.", fast | besides, cmdPing},
	{"QUIT [...]", "Closes the connection.", greeting | unqueued | besides, ok(cmdQuit)},
	{"RESET", "Makes it as good as new.", greeting | unqueued | lockWrite | besides, cmdReset},
	{"SELECT index", "Changes the database.", anytime | fast, ok(cmdSelect)},
}}, {"generic", 'g', []row{
	{"COPY source destination [DB destination-db] [REPLACE]", "Copies a key.", grow, cmdCopy},
	{"DEL key [key ...]", "Deletes keys.", write, cmdDel},
	{"EXISTS key [key ...]", "Counts which of the keys exist.", fastRead | silent, cmdExists},
	{"EXPIRE|EXPIREAT|PEXPIRE|PEXPIREAT key time [NX|XX|GT|LT]", "Sets an expiry.", fastWrite, cmdExpire},
	{"KEYS pattern", "Returns the keys that match a pattern.", readonly, cmdScan},
	{"MOVE key db", "Moves a key to another database.", fastWrite, cmdMove},
	{"OBJECT ENCODING key", "Tells how a value is kept.", readonly | silent, cmdObject},
	{"OBJECT IDLETIME key", "Returns the seconds since its last use.", readonly | silent, cmdObject},
	{"OBJECT REFCOUNT key", "Returns 1.", readonly | silent, cmdObject},
	{"PERSIST key", "Removes the deadline of a key.", fastWrite, cmdPersist},
	{"RANDOMKEY", "Returns a random key.", readonly | lockWrite, cmdRandomKey},
	{"RENAME key newkey", "Renames a key.", write, cmdRename},
	{"RENAMENX key newkey", "Renames a key if the new name is free.", fastWrite, cmdRename},
	{"SCAN cursor" + matching + " [TYPE type]", "Goes through the keys.", readonly, cmdScan},
	{"SORT " + sorting + " [STORE destination]", "Sorts elements.", grow | movable, cmdSort},
	{"SORT_RO " + sorting, "Sorts elements.", readonly | movable, cmdSort},
	{"TOUCH key [key ...]", "Counts them, and makes them as good as read.", fastRead, cmdExists},
	{"TTL|PTTL|EXPIRETIME|PEXPIRETIME key", "Returns when a key will expire.", fastRead | silent, cmdTTL},
	{"TYPE key", "Returns the type of the value of a key.", fastRead | silent, cmdType},
	{"UNLINK key [key ...]", "Deletes keys.", fastWrite, cmdDel},
	{"WAIT numreplicas timeout", "Waits for replicas: none are.", noscript | lockWrite, cmdWait},
}}, {"string", '$', []row{
	{"APPEND key value", "Appends to the string at a key.", fastGrow, cmdAppend},
	{"DECRBY|INCRBY|INCRBYFLOAT key number", "Adds to a number, or subtracts.", fastGrow, cmdIncr},
	{"GET key", "Returns the string at a key.", fastRead, cmdGet},
	{"GETDEL key", "Returns the string at a key and deletes it.", fastWrite, cmdGetEx},
	{"GETEX key [" + lifetimes + "|PERSIST]", "Returns a string, sets a deadline.", fastWrite, cmdGetEx},
	{"GETRANGE|SUBSTR key start end", "Returns a part of the string at a key.", readonly, cmdGetRange},
	{"GETSET key value", "Sets a key to a string and returns the old one.", fastGrow, cmdSet},
	{"INCR|DECR key", "Adds 1 to an integer, or takes it away.", fastGrow, cmdIncr},
	{"LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]", "Compares strings.", readonly, cmdLCS},
	{"MGET key [key ...]", "Returns the strings at several keys.", fastRead, cmdMGet},
	{"MSET|MSETNX key value [key value ...]", "Sets several keys, or all if none exists.", grow, cmdMSet},
	{"PSETEX|SETEX key time value", "Sets a key and its time to live.", grow, cmdSet},
	{"SET key value [NX|XX] [GET] [" + lifetimes + "|KEEPTTL]", "Sets a key to a string.", grow, cmdSet},
	{"SETNX key value", "Sets a key if it does not exist.", fastGrow, cmdMSet},
	{"SETRANGE key offset value", "Overwrites a part of the string at a key.", grow, cmdSetRange},
	{"STRLEN key", "Returns the length of the string at a key.", fastRead, cmdStrLen},
}}, {"list", 'l', []row{
	{"BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout", "LMOVE, waits.", grow | waits, cmdLMove},
	{"BLMPOP timeout" + ofKeys + " LEFT|RIGHT" + takes, "LMPOP, waits.", write | blocking, mpop[list]},
	{"BLPOP|BRPOP key [key ...] timeout", "LPOP or RPOP, waits.", write | waits, bpop[list]},
	{"BRPOPLPUSH source destination timeout", "RPOPLPUSH, waits.", grow | waits, cmdLMove},
	{"LINDEX key index", "Returns an element by its index.", readonly, cmdLIndex},
	{"LINSERT key BEFORE|AFTER pivot element", "Inserts an element beside another.", grow, cmdLInsert},
	{"LLEN key", "Returns the length of a list.", fastRead, length[list]},
	{"LMOVE source destination LEFT|RIGHT LEFT|RIGHT", "Moves an element.", grow, cmdLMove},
	{"LMPOP" + ofKeys + " LEFT|RIGHT" + takes, "Takes from the first list.", write, mpop[list]},
	{"LPOP|RPOP key [count]", "Takes elements from one end.", fastWrite, pop[list]},
	{"LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]", "Finds places.", readonly, cmdLPos},
	{"LPUSH|RPUSH|LPUSHX|RPUSHX key element [element ...]", "Adds elements.", fastGrow, cmdPush},
	{"LRANGE key start stop", "Returns a range of a list.", readonly, cmdLRange},
	{"LREM key count element", "Removes elements equal to one from a list.", write, cmdLRem},
	{"LSET key index element", "Replaces an element by its index.", grow, ok(cmdLSet)},
	{"LTRIM key start stop", "Keeps only a range of a list.", write, ok(cmdLTrim)},
	{"RPOPLPUSH source destination", "Moves the last element to the head of a list.", grow, cmdLMove},
}}, {"hash", 'h', []row{
	{"HDEL key field [field ...]", "Removes fields from a hash.", fastWrite, remove(edit[hash])},
	{"HEXISTS key field", "Tells whether a hash has a field.", fastRead, look(read[hash], putBit)},
	{"HGET key field", "Returns the value of a field.", fastRead, look(read[hash], (*writer).maybe)},
	{"HGETALL|HKEYS|HVALS key", "Returns all fields, values, or both.", readonly, cmdHGetAll},
	{"HINCRBY|HINCRBYFLOAT key field increment", "Adds to the number in a field.", fastGrow, cmdHIncr},
	{"HLEN key", "Counts the fields.", fastRead, length[hash]},
	{"HMGET key field [field ...]", "Returns values.", fastRead, look(read[hash], (*writer).maybe)},
	{"HRANDFIELD key [count [WITHVALUES]]", "Returns random fields.", readonly, fieldsOf.random},
	{"HSCAN key cursor" + matching, "Goes through the fields.", readonly, fieldsOf.scan},
	{"HSET|HMSET key field value [field value ...]", "Sets fields.", fastGrow, cmdHSet},
	{"HSETNX key field value", "Sets a field if the hash does not have it.", fastGrow, cmdHSet},
	{"HSTRLEN key field", "Returns the length of a value.", fastRead, look(read[hash], putLength)},
}}, {"set", 's', []row{
	{"SADD key member [member ...]", "Adds members to a set.", fastGrow, cmdSAdd},
	{"SCARD key", "Counts the members.", fastRead, length[set]},
	{"SDIFF|SINTER|SUNION key [key ...]", "Combines sets.", readonly, cmdSetAlgebra},
	{"SDIFFSTORE|SINTERSTORE|SUNIONSTORE destination key [key ...]", "Stores that.", grow, cmdSetAlgebra},
	{"SINTERCARD" + ofKeys + " [LIMIT limit]", "Counts what SINTER returns.", readonly, cmdInterCard},
	{"SISMEMBER key member", "Tells whether a set has a member.", fastRead, look(read[set], putBit)},
	{"SMEMBERS key", "Returns all members.", readonly, cmdSMembers},
	{"SMISMEMBER key member [member ...]", "Tells which are members.", fastRead, look(read[set], putBit)},
	{"SMOVE source destination member", "Moves a member to another set.", fastWrite, cmdSMove},
	{"SPOP key [count]", "Takes random members.", fastWrite, pop[set]},
	{"SRANDMEMBER key [count]", "Returns random members.", readonly, membersOf.random},
	{"SREM key member [member ...]", "Removes members.", fastWrite, remove(edit[set])},
	{"SSCAN key cursor" + matching, "Goes through the members.", readonly, membersOf.scan},
}}, {"sorted-set", 'z', []row{
	{"BZMPOP timeout" + ofKeys + " MIN|MAX" + takes, "ZMPOP, waits.", write | blocking, mpop[zset]},
	{"BZPOPMAX|BZPOPMIN key [key ...] timeout", "ZPOPMAX, waits.", fastWrite | waits, bpop[zset]},
	{"ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", "Adds.", fastGrow, cmdZAdd},
	{"ZCARD key", "Counts the members.", fastRead, length[zset]},
	{"ZCOUNT|ZLEXCOUNT key min max", "Counts a range by score or name.", fastRead, cmdZCount},
	{"ZDIFF" + ofKeys + withScore, "Subtracts from the first.", readonly, cmdScoreAlgebra},
	{"ZDIFFSTORE destination" + ofKeys, "Stores what ZDIFF returns.", grow, cmdScoreAlgebra},
	{"ZINCRBY key increment member", "Adds to the score of a member.", fastGrow, cmdZAdd},
	{"ZINTER|ZUNION" + ofKeys + weights + withScore, "Combines sorted sets.", readonly, cmdScoreAlgebra},
	{"ZINTERCARD" + ofKeys + " [LIMIT limit]", "Counts what ZINTER returns.", readonly, cmdInterCard},
	{"ZINTERSTORE|ZUNIONSTORE destination" + ofKeys + weights, "Stores that.", grow, cmdScoreAlgebra},
	{"ZMPOP" + ofKeys + " MIN|MAX" + takes, "Takes from the first set.", write, mpop[zset]},
	{"ZMSCORE key member [member ...]", "Returns scores of members.", fastRead, look(scoresAt, putScore)},
	{"ZPOPMAX|ZPOPMIN key [count]", "Takes members from one end.", fastWrite, pop[zset]},
	{"ZRANDMEMBER key [count [WITHSCORES]]", "Returns random members.", readonly, scoresOf.random},
	{"ZRANGE key start stop" + cutBy + withScore, "Returns a range.", readonly, cmdZRange},
	{"ZRANGEBYLEX key min max" + limited, "Returns a range by name.", readonly, cmdZRange},
	{"ZRANGEBYSCORE key min max" + withScore + limited, "Returns a range.", readonly, cmdZRange},
	{"ZRANGESTORE dst src min max" + cutBy, "Stores what ZRANGE returns.", grow, cmdZRange},
	{"ZRANK|ZREVRANK key member", "Returns how many members are before it.", fastRead, cmdZRank},
	{"ZREM key member [member ...]", "Removes members.", fastWrite, remove(edit[zset])},
	{"ZREMRANGEBYLEX|ZREMRANGEBYSCORE key min max", "Removes that range.", write, cmdZCount},
	{"ZREMRANGEBYRANK key start stop", "Removes a range by rank.", write, cmdZCount},
	{"ZREVRANGE key start stop" + withScore, "Returns a range, downwards.", readonly, cmdZRange},
	{"ZREVRANGEBYLEX key max min" + limited, "Downwards by name.", readonly, cmdZRange},
	{"ZREVRANGEBYSCORE key max min" + withScore + limited, "Returns it downwards.", readonly, cmdZRange},
	{"ZSCAN key cursor" + matching, "Goes through the members.", readonly, scoresOf.scan},
	{"ZSCORE key member", "Returns the score of a member.", fastRead, look(scoresAt, putScore)},
}}, {"stream", 't', []row{
	{"XADD key [NOMKSTREAM] [" + trimming + "] *|id field value [field value ...]", "Adds an entry.",
		fastGrow, cmdXAdd},
	{"XDEL key id [id ...]", "Removes entries.", fastWrite, cmdXDel},
	{"XLEN key", "Counts the entries.", fastRead, length[stream]},
	{"XRANGE key start end" + takes, "Returns a range of entries.", readonly, cmdXRange},
	{"XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
		"Returns entries behind ids, or waits.", readonly | blocking | movable | lockWrite, cmdXRead},
	{"XREVRANGE key end start" + takes, "Returns a range of entries, downwards.", readonly, cmdXRange},
	{"XTRIM key " + trimming, "Removes the oldest entries.", write, cmdXTrim},
}}, {"pubsub", 0, []row{
	{"PSUBSCRIBE|SUBSCRIBE channel [channel ...]", "Subscribes.", listens, cmdSubscribe},
	{"PUBLISH channel message", "Sends a message to listeners.", pubsub | anytime | fast, cmdPublish},
	{"PUBSUB CHANNELS [pattern]", "Names channels with listeners.", pubsub | anytime, cmdPubsubChannels},
	{"PUBSUB NUMPAT", "Counts the patterns that are listened to.", pubsub | anytime, cmdPubsubNumPat},
	{"PUBSUB NUMSUB [channel [channel ...]]", "Counts the listeners.", pubsub | anytime, cmdPubsubNumSub},
	{"PUNSUBSCRIBE|UNSUBSCRIBE [channel [channel ...]]", "Ends that.", listens, cmdSubscribe},
}}, {"transactions", 0, []row{
	{"DISCARD", "Forgets the queue.", bracket | unqueued | lockWrite, ok(cmdDiscard)},
	{"EXEC", "Runs what was queued.", session | skipSlowlog | unqueued | lockWrite, cmdExec},
	{"MULTI", "Begins a transaction.", bracket | unqueued, ok(cmdMulti)},
	{"UNWATCH", "Watches nothing any more.", bracket | lockWrite, ok(cmdUnwatch)},
	{"WATCH key [key ...]", "EXEC fails if one changes.", bracket | unqueued | lockWrite, ok(cmdWatch)},
}}, {"server", 0, []row{
	{"ACL WHOAMI", "Returns the name of the user.", session, cmdACLWhoami},
	{"BGSAVE [SCHEDULE]", "Saves in the background.", admin | noscript | noAsyncLoading, cmdBGSave},
	{"CLUSTER subcommand [argument ...]", "Says that this is no cluster.", anytime, cmdCluster},
	{"COMMAND [...]", "Describes all commands.", anytime, cmdCommandInfo},
	{"COMMAND COUNT", "Counts the commands.", anytime, cmdCommandCount},
	{"COMMAND DOCS [command-name [command-name ...]]", "Documents commands.", anytime, cmdCommandDocs},
	{"COMMAND GETKEYS command arg [arg ...]", "Finds the keys in a command.", anytime, cmdCommandGetKeys},
	{"COMMAND INFO [command-name [command-name ...]]", "Describes commands.", anytime, cmdCommandInfo},
	{"COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN name]", "Names commands.", anytime, cmdCommandList},
	{"CONFIG GET parameter [parameter ...]", "Returns settings.", control, cmdConfigGet},
	{"CONFIG RESETSTAT", "Sets the counters of INFO to 0.", control, ok(cmdConfigResetStat)},
	{"CONFIG REWRITE", "Says that there is no file to write.", control, cmdConfigRewrite},
	{"CONFIG SET parameter value [parameter value ...]", "Changes settings.", control, ok(cmdConfigSet)},
	{"DBSIZE", "Counts the keys of the database.", fastRead, cmdDBSize},
	{"DEBUG OBJECT key", "Tells how a value is kept.", control | lockRead | debugging, cmdObject},
	{"DEBUG RELOAD", "Saves and loads the keyspace.", control | debugging | noMulti, ok(cmdDebugReload)},
	{"DEBUG SET-ACTIVE-EXPIRE 0|1", "Stops the sampler.", control | debugging, ok(cmdDebugExpire)},
	{"DEBUG SLEEP seconds", "Stops the server.", control | lockWrite | debugging, ok(cmdDebugSleep)},
	{"FLUSHALL|FLUSHDB [ASYNC|SYNC]", "Deletes all keys, or those of the database.", write, ok(cmdFlush)},
	{"INFO [section [section ...]]", "Tells about the server.", anytime | lockRead, cmdInfo},
	{"LASTSAVE", "Returns the Unix time of the last save.", anytime | fast, cmdLastSave},
	{"MEMORY USAGE key [SAMPLES count]", "Estimates the bytes of a key.", readonly, cmdObject},
	{"MONITOR", "Shows every command that the server runs.", control, cmdMonitor},
	{"ROLE", "Says that this is a master without replicas.", session | fast, cmdRole},
	{"SAVE", "Saves the keyspace.", admin | noscript | noAsyncLoading | noMulti, ok(cmdSave)},
	{"SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]", "Ends.", control | allowBusy | noMulti, cmdShutdown},
	{"SLOWLOG GET [count]", "Returns what took longest.", admin | anytime, cmdSlowlogGet},
	{"SLOWLOG LEN", "Counts them.", admin | anytime, cmdSlowlogLen},
	{"SLOWLOG RESET", "Forgets them.", admin | anytime, ok(cmdSlowlogReset)},
	{"SWAPDB index1 index2", "Exchanges the keys of two databases.", fastWrite, ok(cmdSwapDB)},
	{"TIME", "Returns the Unix time in seconds, and the microseconds.", anytime | fast, cmdTime},
}}}

// A command is a row with what follows from it. It prints as its name.
type command struct {
	row
	group *group
	name  string     // "get", or "client|list" for a subcommand
	named int        // words of the name
	terms []string   // of the usage, behind the name
	arity int        // words it takes, its name included; -n means n or more
	keys  keys       // where its keys stand
	subs  []*command // in the order of their names

	calls, nanos atomic.Int64 // and how long they took, in ns
	fails, turns atomic.Int64 // calls that ended in an error, and that were turned away before they ran
}

func (c *command) String() string { return c.name }

// keys tells where keys stand: from first to last (from the end when negative) in steps, and,
// unless count is 0, as many as the word at count says behind that.
type keys struct {
	first, last, step, count int
	behind                   string // a word: STORE, one more key, or STREAMS, the keys and as many ids
}

// commands finds a command by its name in lower or upper case, like client|list; handlers cannot use the
// table: it uses them. What is no subcommand of another is one of the root.
var commands, root = make(map[string]*command), &command{}

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

// enter makes a command known, and the first word of one with subcommands, which has HELP, too.
func enter(g *group, r row) {
	c, parent := &command{row: r, group: g, named: 1}, root
	c.derive()
	commands[c.name], commands[strings.ToUpper(c.name)] = c, c
	if first, _, isSub := strings.Cut(c.name, "|"); isSub {
		if commands[first] == nil {
			enter(g, row{usage: strings.ToUpper(first) + " subcommand [...]"})
		}
		if parent = commands[first]; commands[first+"|help"] == nil {
			enter(g, row{strings.ToUpper(first) + " HELP", "Explains.", anytime | r.flags&debugging, cmdHelp})
		}
	}
	parent.subs = append(parent.subs, c)
	slices.SortFunc(parent.subs, func(a, b *command) int { return strings.Compare(a.name, b.name) })
}

// derive reads off the usage the name, how many words the command takes and where its keys stand. A term in
// brackets may be left out; [key ...] repeats what stands before it.
func (c *command) derive() {
	depth, k := 0, &c.keys
	c.terms = strings.FieldsFunc(c.usage, func(char rune) bool {
		depth += oneIf(char == '[') - oneIf(char == ']')
		return char == ' ' && depth == 0
	})
	c.named += oneIf(len(c.terms) > 1 && strings.Trim(c.terms[1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == "")
	c.name = strings.ToLower(strings.Join(c.terms[:c.named], "|"))
	c.terms, c.arity = c.terms[c.named:], c.named
	for _, term := range c.terms {
		inner, optional := strings.CutPrefix(term, "[")
		first, rest, _ := strings.Cut(inner, " ")
		isKey := slices.Contains(keyNames, first)
		switch {
		case k.count > 0 || k.behind != "":
		case optional && isKey && strings.HasSuffix(rest, "...]"):
			k.last, k.step = -1, 1+strings.Count(rest, " ")
		case first == "STORE" || first == "STREAMS":
			k.behind = first
		case term == "numkeys":
			k.count = c.arity
		case isKey:
			k.first, k.last, k.step = cmp.Or(k.first, c.arity), c.arity, 1
		case k.last < 0 && !optional: // it stands behind the last key
			k.last--
		}
		c.arity += oneIf(!optional)
	}
	c.arity *= either(strings.Contains(c.usage, "["), -1, 1)
	c.flags |= either(k.count > 0, movable, 0)
}

// appendTo appends to list the keys among words. Words that cannot be read give none.
func (k keys) appendTo(list, words []string) []string {
	last := k.last + either(k.last < 0, len(words), 0)
	for i := k.first; i > 0 && i <= last && i < len(words); i += k.step {
		list = append(list, words[i])
	}
	at := k.count + 1                // where n more begin
	n, _ := parseInt(words[k.count]) // without a count this is the name, and no number
	for i, word := range either(k.behind != "", words, nil) {
		if strings.EqualFold(word, k.behind) && (n == 0 || k.behind == "STORE") {
			at = i + 1 // if STORE is said twice, the last holds
			n = either(k.behind == "STORE", 1, int64(len(words)-at)/2)
		}
	}
	if n > 0 && n <= int64(len(words)-at) {
		list = append(list, words[at:][:n]...)
	}
	return list
}

// named finds a command or a subcommand by its name in any case.
func named(name string) *command {
	if c := commands[name]; c != nil {
		return c
	}
	return commands[strings.ToLower(name)]
}

// lookup finds the command that words ask for. If there is none it returns Redis's error.
func lookup(words []string) (c *command, refusal replyError) {
	const most = 128 // characters of what the client sent that an error repeats
	if c = named(words[0]); c == nil || c.named > 1 {
		args := ""
		for i := 1; i < len(words) && len(args) < most; i++ {
			args += fmt.Sprintf("'%.*s' ", most-len(args), words[i])
		}
		return nil, errorf("ERR unknown command '%.*s', with args beginning with: %s", most, words[0], args)
	}
	if c.subs != nil && len(words) > 1 {
		family := strings.ToUpper(c.name)
		if c = named(c.name + "|" + words[1]); c == nil {
			return nil, errorf("ERR unknown subcommand '%.*s'. Try %s HELP.", most, words[1], family)
		}
	}
	if n := len(words); n != c.arity && (c.arity >= 0 || n < -c.arity) {
		return c, errorf(string(errArity), c)
	}
	return c, ""
}

// --- requests ----------------------------------------------------------------

// A request is one command of one client: a cursor over its arguments, and the way to the keys. Its methods
// throw a replyError, a panic that only call catches: an error deep in the reading of arguments ends the
// handler, as in encoding/gob, and no handler passes errors on.
type request struct {
	*conn
	cmd    *command
	words  []string           // the name of the command, and its arguments
	pos    int                // the next to read
	now    int64              // Unix time in ms at which the command runs
	edits  []entry[container] // given out by edit: the handler is about to change them
	nested bool               // within EXEC
	ready  string             // the key that was filled, when a command that blocked runs again
}

// A replyError is an error reply: its code and its text.
type replyError string

func errorf(format string, args ...any) replyError { return replyError(fmt.Sprintf(format, args...)) }
func fail(e replyError)                            { panic(e) }

// failIf throws an error when something is wrong; args fill the % in it.
func failIf(wrong bool, e replyError, args ...any) {
	if wrong {
		fail(errorf(string(e), args...))
	}
}

// Redis's errors, word for word.
const (
	errArity     replyError = "ERR wrong number of arguments for '%s' command"
	errTryHelp   replyError = "ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP."
	errSyntax    replyError = "ERR syntax error"
	errNotInt    replyError = "ERR value is not an integer or out of range"
	errNotFloat  replyError = "ERR value is not a valid float"
	errWrongType replyError = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNoKey     replyError = "ERR no such key"
	errTooLong   replyError = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errSaving    replyError = "ERR Background save already in progress"
	errNoDebug   replyError = "ERR DEBUG command not allowed. If the enable-debug-command option is set " +
		`to "local", you can run it from a local connection, otherwise you need to set this option in the ` +
		"configuration file, and then restart the server."
	errCountRange replyError = "ERR value is out of range, " +
		"value must between -9223372036854775807 and 9223372036854775807"
	errSaveFailed replyError = "MISCONF Redis is configured to save RDB snapshots, but it's currently " +
		"unable to persist to disk. Commands that may modify the data set are disabled, because this " +
		"instance is configured to report errors during writes if RDB snapshotting fails " +
		"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
)

// call runs the handler, and turns what it throws into an error reply in place of what it had written. It is
// run for every command, once more for each command within EXEC, and again for a command that was blocked.
func (r *request) call(w *writer) {
	began, mark := r.clock, len(w.buf)
	if began.IsZero() {
		began = time.Now()
	}
	r.now, r.pos, r.edits = r.store.clock.at(began)/1000, r.cmd.named, r.edits[:0]
	defer func() {
		if thrown := recover(); thrown != nil {
			e, ok := thrown.(replyError)
			if !ok {
				panic(thrown) // a bug, which conn.farewell reports
			}
			w.buf = w.buf[:mark]
			w.err(string(e))
			r.cmd.fails.Add(1)
		}
		// Reading the clock is slow: in a pipeline the end of a command serves as the beginning of the next.
		took := time.Since(began) // half as slow
		r.clock = began.Add(took)
		if r.ready == "" { // not once more for a command that waited
			r.account(began, took)
		}
	}()
	r.cmd.run(w, r)
}

// account tells of a command that ran whoever wants to know: statistics, the slow log, MONITOR and TRACKING.
func (r *request) account(began time.Time, took time.Duration) {
	r.cmd.calls.Add(1)
	r.cmd.nanos.Add(int64(took))
	r.spy(r.store.clock.at(began))
	if trace, traced := r.Conn.(*tap); traced {
		trace.say("# %s took %v, keys: %q", r.cmd, took, r.cmd.keys.appendTo(nil, r.words))
		r.clock = time.Time{} // to print took long
	}
	bar, micros := r.server.config.slow.Load(), took.Microseconds()
	if bar >= 0 && micros >= bar && r.cmd.flags&(skipSlowlog|noAuth) == 0 {
		r.setShared(func() { r.logSlow(micros) })
	}
	if r.tracking.on && r.cmd.flags&readonly != 0 {
		r.track()
	}
}

// more tells whether there are arguments that were not read yet, and left how many; end fails if there are.
func (r *request) more() bool { return r.pos < len(r.words) }
func (r *request) left() int  { return len(r.words) - r.pos }
func (r *request) end()       { failIf(r.more(), errSyntax) }

// next returns the next argument. An option that ends too early is a syntax error.
func (r *request) next() string {
	failIf(!r.more(), errSyntax)
	r.pos++
	return r.words[r.pos-1]
}

// rest returns all arguments that were not read yet, and several the next n, which there are.
func (r *request) rest() []string { return r.several(r.left()) }

func (r *request) several(n int) []string {
	r.pos += n
	return r.words[r.pos-n : r.pos]
}

// tally counts the arguments left for which something is true.
func (r *request) tally(holds func(arg string) bool) (n int) {
	for _, arg := range r.rest() {
		n += oneIf(holds(arg))
	}
	return n
}

// option returns the next argument in capitals, and int the number that it must be.
func (r *request) option() string { return strings.ToUpper(r.next()) }
func (r *request) int() int64     { return toInt(r.next()) }

// options reads all arguments left as options in any order: pairs of a name and what it sets, a *bool, or a
// *int64 or *string from the argument behind it, or a func that reads on. Anything else is a syntax error.
func (r *request) options(known ...any) {
	for r.more() {
		i := slices.Index(known, any(r.option()))
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

// pairs returns all arguments left, which must be pairs, one at least.
func (r *request) pairs() []string {
	failIf(r.left() == 0 || r.left()%2 != 0, errArity, r.cmd)
	return r.rest()
}

func toInt(s string) int64 {
	n, ok := parseInt(s)
	failIf(!ok, errNotInt)
	return n
}

// atLeast reads a number that must not be less than low, else e is thrown, also when it is none.
func (r *request) atLeast(low int64, e replyError) int {
	n, ok := parseInt(r.next())
	failIf(!ok || n < low, e)
	return int(n)
}

func (r *request) keysAfterCount(tooFew replyError) []string {
	n := r.atLeast(1, "ERR numkeys should be greater than 0")
	failIf(n > r.left(), tooFew)
	return r.several(n)
}

// oneOf reads one of some words, and returns which; choose throws e for another, which %s in it stands for.
func (r *request) oneOf(words ...string) int { return r.choose(errSyntax, words...) }

func (r *request) choose(e replyError, words ...string) int {
	i := slices.Index(words, r.option())
	if i < 0 {
		fail(replyError(strings.Replace(string(e), "%s", r.words[r.pos-1], 1)))
	}
	return i
}

// side reads the end that is meant, in the words of the command's group.
func (r *request) side() end {
	return end(r.oneOf(strings.Fields(either(r.cmd.group.name == "list", "LEFT RIGHT", "MIN MAX"))...))
}

func (r *request) dbIndex(notInt replyError) *db {
	const farOff replyError = "ERR value is out of range, value must between -2147483648 and 2147483647"
	n := r.atLeast(math.MinInt64, notInt)
	failIf(n != int(int32(n)), either(notInt == errNotInt, farOff, notInt))
	failIf(n < 0 || n >= databases, "ERR DB index is out of range")
	return r.store.dbs[n]
}

// find returns the item at key, or nil. Under the write lock it removes a dead one, so that none is revived.
func (r *request) find(key string) *item  { return r.findIn(r.db, key) }
func (r *request) exists(key string) bool { return r.find(key) != nil }

func (r *request) findIn(d *db, key string) *item {
	it, seconds := d.find(key, r.now), uint32(r.now/1000)
	if it == nil && r.cmd.flags&(write|lockWrite) != 0 && d.keys.has(key) && !r.store.isFrozen() {
		r.store.expire(d, key)
	} else if it != nil && r.cmd.flags&silent == 0 && atomic.LoadUint32(&it.access) != seconds {
		atomic.StoreUint32(&it.access, seconds) // which readers may do, too
	}
	if reads := r.cmd.flags&readonly != 0; reads && it != nil {
		r.server.hits.Add(1)
	} else if reads {
		r.server.misses.Add(1)
		r.store.notify(d, 'm', "keymiss", key)
	}
	return it
}

// stringItem returns the item at key, which must be a string, or nil.
func (r *request) stringItem(key string) *item {
	it := r.find(key)
	failIf(it != nil && it.object != nil && it.typeName() != "string", errWrongType)
	return it
}

// read returns the container at key, or an empty one that is not stored; it throws WRONGTYPE.
func read[T any, P pointer[T]](r *request, key string) P {
	it := r.find(key)
	if it == nil {
		return new(T)
	}
	p, ok := it.object.(P)
	failIf(!ok, errWrongType)
	return p
}

// edit returns the container at key to be changed. When there is none it makes one, which changed will put
// into the keyspace if it is no longer empty: a handler that throws before leaves no trace.
func edit[T any, P pointer[T]](r *request, key string) P {
	p := read[T, P](r, key)
	r.edits = append(r.edits, entry[container]{key, p})
	return p
}

// editString returns the string at key as a buffer to be changed in place.
func (r *request) editString(key string) *buffer {
	if it := r.stringItem(key); it != nil && it.object == nil {
		it.object, it.text = &buffer{[]byte(it.text)}, ""
	}
	return edit[buffer](r, key)
}

// setString gives key a string in place of anything, and a deadline if that is not 0.
func (r *request) setString(key, s, event string, deadline int64) {
	r.put(r.db, key, item{text: s, deadline: deadline})
	r.changed(key, event, 1)
}

// put gives key an item that was accessed now, in place of any other.
func (r *request) put(d *db, key string, it item) {
	it.access = uint32(r.now / 1000)
	if d.put(key, it) {
		r.notify(d, key, "new")
	}
}

// changed ends every write: it stores or removes what was edited, counts the n changes, if there are any, and
// tells whoever waits, watches, tracks or wants to be notified of the event. It returns n, often the reply.
func (r *request) changed(key, event string, n int) int { return r.changedIn(r.db, key, event, n) }

func (r *request) changedIn(d *db, key, event string, n int) int {
	if n == 0 {
		return 0
	}
	gone := false
	for _, e := range r.edits {
		switch {
		case e.key != key:
		case e.value.len() == 0 && strings.IndexByte("$t", r.cmd.group.class) < 0: // strings, streams stay
			d.remove(key)
			gone = true
		case d.find(key, r.now) == nil:
			r.put(d, key, item{object: e.value})
		}
	}
	r.store.changes.Add(int64(n))
	r.store.touched(d, key, r.conn)
	r.notify(d, key, event)
	if gone {
		r.notify(d, key, "del")
	}
	return n
}

// eventClass has the classes of events that all types have; the others have that of the command's group.
var eventClass = map[string]byte{"del": 'g', "expire": 'g', "persist": 'g', "sortstore": 'l', "new": 'n'}

func (r *request) notify(d *db, key, event string) {
	if *r.server.config.events.Load() != "" {
		r.store.notify(d, cmp.Or(eventClass[event], r.cmd.group.class), event, key)
	}
}

// --- connection --------------------------------------------------------------

func cmdEcho(w *writer, r *request)           { w.bulk(r.next()) }
func cmdClientID(w *writer, r *request)       { w.int64(r.id) }
func cmdClientInfo(w *writer, r *request)     { w.verbatim(r.conn.describe(r.now) + "\n") }
func cmdClientGetName(w *writer, r *request)  { w.maybe(either(r.name == "", nil, &r.name)) }
func cmdClientGetRedir(w *writer, r *request) { w.int64(r.tracking.target()) }

func cmdQuit(r *request)          { r.closing = true }
func cmdSelect(r *request)        { r.setShared(func() { r.conn.db = r.dbIndex(errNotInt) }) }
func cmdClientSetName(r *request) { r.setShared(func() { r.name = r.label("Client names") }) }
func cmdClientNoEvict(r *request) { r.setShared(func() { r.noEvict = r.oneOf("OFF", "ON") == 1 }) }
func cmdClientUnpause(r *request) { r.store.frozen.Store(0) }

func cmdPing(w *writer, r *request) {
	failIf(r.left() > 1, errArity, r.cmd)
	switch message := strings.Join(r.words[1:], ""); {
	case r.speaking == 2 && r.subscriptions() > 0:
		w.bulks([]string{"pong", message})
	case r.more():
		w.bulk(message)
	default:
		w.simple("PONG")
	}
}

func cmdReset(w *writer, r *request) {
	r.discard()
	r.in.guest, r.muted, w.resp3 = r.server.config.get("requirepass") != "", 0, false
	r.setShared(func() {
		r.forget(channels, patterns, monitors)
		r.setTracking(tracking{})
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

func cmdAuth(r *request) {
	failIf(r.left() > 2, errSyntax)
	failIf(r.left() == 1 && r.server.config.get("requirepass") == "", "ERR AUTH <password> called without "+
		"any password configured for the default user. Are you sure your configuration is correct?")
	words := append([]string{"default"}, r.rest()...)
	r.authenticate(words[len(words)-2], words[len(words)-1])
}

func cmdHello(w *writer, r *request) {
	dialect := r.speaking
	if r.more() {
		dialect = r.atLeast(math.MinInt64, "ERR Protocol version is not an integer or out of range")
		failIf(dialect < 2 || dialect > 3, "NOPROTO unsupported protocol version")
	}
	for r.more() {
		switch word := r.next(); {
		case strings.EqualFold(word, "AUTH") && r.left() >= 2:
			r.authenticate(r.next(), r.next())
		case strings.EqualFold(word, "SETNAME") && r.more():
			cmdClientSetName(r)
		default:
			fail(errorf("ERR Syntax error in HELLO option '%s'", word))
		}
	}
	failIf(r.in.guest, "NOAUTH HELLO must be called with the client already authenticated, otherwise the "+
		"HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP "+
		"protocol version at the same time")
	w.resp3 = dialect == 3
	r.setShared(func() { r.speaking = dialect })
	w.any(fields{"server", "redis", "version", redisVersion, "proto", dialect, "id", r.id,
		"mode", "standalone", "role", "master", "modules", []any{}})
}

// label reads a name that a client gives, which must be fit to be printed in CLIENT LIST.
func (r *request) label(what string) string {
	s := r.next()
	bad := strings.ContainsFunc(s, func(c rune) bool { return c < '!' || c > '~' })
	failIf(bad, "ERR %s cannot contain spaces, newlines or special characters.", what)
	return s
}

func cmdClientSetInfo(r *request) {
	i := r.choose("ERR Unrecognized option '%s'", "LIB-NAME", "LIB-VER")
	r.setShared(func() { r.lib[i] = r.label([]string{"lib-name", "lib-ver"}[i]) })
}

func cmdClientReply(w *writer, r *request) {
	skip := max(r.muted, 2) // this command and the next
	if r.muted = []int{0, math.MaxInt, skip}[r.oneOf("ON", "OFF", "SKIP")]; r.muted == 0 {
		w.ok()
	}
}

// clientType reads a type for CLIENT LIST and CLIENT KILL. There are no clients of the last three.
func (r *request) clientType() string {
	types := []string{"NORMAL", "PUBSUB", "MASTER", "REPLICA", "SLAVE"}
	return strings.ToLower(types[r.choose("ERR Unknown client type '%s'", types...)])
}

const unsaid = "\x00" // in place of what an option says

// find returns clients for CLIENT LIST and CLIENT KILL, oldest first. What is unsaid may be anything.
func (s *server) find(ids []int64, kind, addr, laddr string) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.SortedFunc(maps.Values(s.clients), func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return slices.DeleteFunc(list, func(c *conn) bool {
		differs := func(asked, is string) bool { return asked != unsaid && asked != is }
		return ids != nil && !slices.Contains(ids, c.id) ||
			differs(kind, either(c.subscriptions() > 0, "pubsub", "normal")) ||
			differs(addr, c.RemoteAddr().String()) || differs(laddr, c.LocalAddr().String())
	})
}

func cmdClientList(w *writer, r *request) {
	kind, ids, lines := unsaid, []int64(nil), []byte(nil)
	r.options("TYPE", func() { kind = r.clientType(); r.end() }, "ID", func() {
		for more := true; more; more = r.more() {
			ids = append(ids, int64(r.atLeast(math.MinInt64, "ERR Invalid client ID")))
		}
	})
	for _, c := range r.server.find(ids, kind, unsaid, unsaid) {
		lines = append(lines, c.describe(r.now)+"\n"...)
	}
	w.verbatim(string(lines))
}

func cmdClientKill(w *writer, r *request) {
	kind, addr, laddr, ids := unsaid, unsaid, unsaid, []int64(nil)
	skipMe, old := true, r.left() == 1 // the old form names an address, and wants OK
	if old {
		addr, skipMe = r.next(), false
	}
	r.options("TYPE", func() { kind = r.clientType() }, "ADDR", &addr, "LADDR", &laddr, "ID", func() {
		ids = []int64{int64(r.atLeast(1, "ERR client-id should be greater than 0"))}
	}, "USER", func() {
		user := r.next()
		failIf(user != "default", "ERR No such user '%s'", user)
	}, "SKIPME", func() { skipMe = r.oneOf("NO", "YES") == 1 })
	list := r.server.find(ids, kind, addr, laddr)
	list = slices.DeleteFunc(list, func(c *conn) bool { return skipMe && c == r.conn })
	for _, c := range list {
		if c == r.conn {
			r.closing = true // when it has the reply
		} else {
			c.Close()
		}
	}
	failIf(old && len(list) == 0, "ERR No such client")
	w.done(!old, len(list))
}

func cmdClientUnblock(w *writer, r *request) {
	const reasons = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
	id, fails := r.int(), r.more() && r.choose(reasons, "TIMEOUT", "ERROR") == 1
	complain := func(w *writer) { w.err("UNBLOCKED client unblocked via CLIENT UNBLOCK") }
	var c *conn
	r.setShared(func() { c = r.server.clients[id] })
	w.bit(c != nil && c.unblock(either(fails, complain, c.none)))
}

func cmdClientPause(r *request) {
	text := r.next()
	all := !r.more() || r.choose("ERR CLIENT PAUSE mode must be WRITE or ALL", "WRITE", "ALL") == 1
	r.store.frozen.Store(time.Now().Add(millis(parseInt(text))).UnixMilli())
	r.server.allStop.Store(all)
}

func cmdClientTracking(r *request) {
	old, t, prefix := &r.tracking, tracking{on: r.oneOf("OFF", "ON") == 1}, []string(nil)
	r.options("BCAST", &t.bcast, "OPTIN", &t.optIn, "OPTOUT", &t.optOut, "NOLOOP", &t.noLoop,
		"PREFIX", func() { prefix = append(prefix, r.next()) }, "REDIRECT", func() {
			failIf(t.redirect != 0, "ERR A client can only redirect to a single other client")
			t.redirect = r.int()
			target := r.server.find([]int64{t.redirect}, unsaid, unsaid, unsaid)
			failIf(len(target) == 0, "ERR The client ID you want redirect to does not exist")
		})
	if !t.on { // then nothing else counts
		t, prefix = tracking{}, nil
	}
	again := "before disabling tracking for this client, and then re-enabling it with a different mode."
	failIf(!t.bcast && prefix != nil, "ERR PREFIX option requires BCAST mode to be enabled")
	failIf(t.on && old.on && old.bcast != t.bcast, "ERR You can't switch BCAST mode on/off %s", again)
	failIf(t.bcast && (t.optIn || t.optOut), "ERR OPTIN and OPTOUT are not compatible with BCAST")
	failIf(t.optIn && t.optOut, "ERR You can't specify both OPTIN mode and OPTOUT mode")
	failIf(t.optIn && old.optOut || t.optOut && old.optIn, "ERR You can't switch OPTIN/OPTOUT mode %s", again)
	before := slices.Collect(maps.Keys(r.topics[prefixes]))
	for i, p := range prefix {
		for j, o := range slices.Concat(before, prefix[i+1:]) {
			failIf(strings.HasPrefix(p, o) || strings.HasPrefix(o, p), "ERR Prefix '%s' overlaps with %s "+
				"prefix '%s'. Prefixes for a single client must not overlap.", p,
				either(j < len(before), "an existing", "another provided"), o)
		}
	}
	everyKey := t.bcast && len(before)+len(prefix) == 0
	r.setShared(func() { r.setTracking(t, either(everyKey, []string{""}, prefix)...) })
}

func cmdClientCaching(r *request) {
	failIf(!r.tracking.on, "ERR CLIENT CACHING can be called only when the client is in tracking mode with "+
		"OPTIN or OPTOUT mode enabled")
	const refusal = "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode."
	yes := r.oneOf("NO", "YES") == 1
	failIf(yes && !r.tracking.optIn, refusal, "YES", "OPTIN")
	failIf(!yes && !r.tracking.optOut, refusal, "NO", "OPTOUT")
	r.caching = true
}

func cmdClientTrackingInfo(w *writer, r *request) {
	var t tracking
	r.setShared(func() { t = r.tracking })
	list := chosen("off", !t.on, "on", t.on, "bcast", t.bcast, "optin", t.optIn,
		"caching-yes", r.caching && t.optIn, "optout", t.optOut, "caching-no", r.caching && t.optOut,
		"noloop", t.noLoop, "broken_redirect", t.broken)
	w.mapOf(3)
	w.bulk("flags")
	w.set(len(list))
	for _, flag := range list {
		w.bulk(flag)
	}
	w.each("redirect", t.target(), "prefixes", slices.Sorted(maps.Keys(r.topics[prefixes])))
}

// chosen returns the names, in pairs of a name and a bool, that are true.
func chosen(pairs ...any) (list []string) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1].(bool) {
			list = append(list, pair[0].(string))
		}
	}
	return list
}

// --- generic -----------------------------------------------------------------

func cmdDel(w *writer, r *request)                      { w.int(r.tally(r.delete)) }
func cmdExists(w *writer, r *request)                   { w.int(r.tally(r.exists)) }
func cmdType(w *writer, r *request)                     { w.simple(r.find(r.next()).typeName()) }
func cmdPersist(w *writer, r *request)                  { w.bit(r.expireAt(r.next(), 0)) }
func length[T any, P pointer[T]](w *writer, r *request) { w.int(read[T, P](r, r.next()).len()) }

// delete removes a key, and tells whether it was there.
func (r *request) delete(key string) bool {
	if !r.exists(key) {
		return false
	}
	r.db.remove(key)
	return r.changed(key, "del", 1) > 0
}

// unitOf returns the unit in ms of what commands and options take or tell: with a p they mean ms.
func unitOf(word string) int64 { return either[int64](word[0] == 'p', 1, 1000) }

// A lifetime is a word about a deadline, like ex or expireat, and its number.
type lifetime struct{ word, n string }

// deadline returns what that is in Unix ms: a time for words that end in at, else from now on. Words without
// a number, like persist, mean 0.
func (r *request) deadline(l lifetime) int64 {
	if !strings.Contains(l.word, "x") {
		return 0
	}
	n, unit, base := toInt(l.n), unitOf(l.word), either(strings.HasSuffix(l.word, "at"), 0, r.now)
	far := n > (math.MaxInt64-base)/unit || n < math.MinInt64/unit
	failIf(far || n <= 0 && r.cmd.group.name == "string", "ERR invalid expire time in '%s' command", r.cmd)
	return max(1, base+n*unit) // 0 would be never
}

func cmdExpire(w *writer, r *request) {
	key, when := r.next(), r.next()
	var nx, xx, gt, lt bool
	for is := []*bool{&nx, &xx, &gt, &lt}; r.more(); {
		*is[r.choose("ERR Unsupported option %s", "NX", "XX", "GT", "LT")] = true
	}
	failIf(nx && (xx || gt || lt), "ERR NX and XX, GT or LT options at the same time are not compatible")
	failIf(gt && lt, "ERR GT and LT options at the same time are not compatible")
	at := r.deadline(lifetime{r.cmd.name, when})
	old := cmp.Or(r.find(key), new(item)).deadline // 0: never, which is later than any time
	barred := nx && old != 0 || xx && old == 0 || gt && (old == 0 || at <= old) || lt && old != 0 && at >= old
	w.bit(!barred && r.expireAt(key, at))
}

// expireAt gives a key a deadline in Unix ms, 0 for none, and tells if it could. One in the past deletes it.
func (r *request) expireAt(key string, at int64) bool {
	it := r.find(key)
	switch {
	case it == nil || at == 0 && it.deadline == 0:
		return false
	case at != 0 && at <= r.now:
		return r.delete(key)
	}
	r.put(r.db, key, item{text: it.text, object: it.object, deadline: at})
	return r.changed(key, either(at == 0, "persist", "expire"), 1) > 0
}

func cmdTTL(w *writer, r *request) {
	it, unit := r.find(r.next()), unitOf(r.cmd.name)
	at := cmp.Or(it, new(item)).deadline
	n := at - either(strings.HasSuffix(r.cmd.name, "expiretime"), 0, r.now)
	n = either(at == 0, -1, n/unit+(n%unit+unit/2)/unit) // rounded
	w.int64(either(it == nil, -2, n))
}

func cmdRandomKey(w *writer, r *request) {
	for tries := 100; r.db.keys.n > 0 && tries > 0; tries-- {
		if key := r.db.keys.random(); r.exists(key) {
			w.bulk(key)
			return
		}
	}
	w.null()
}

func cmdRename(w *writer, r *request) {
	from, to, onlyNew := r.next(), r.next(), r.cmd.name == "renamenx"
	failIf(r.find(from) == nil, errNoKey)
	w.done(onlyNew, oneIf(from != to && r.place(from, r.db, to, !onlyNew, "rename_from", "rename_to")))
}

// place gives a key in dest the value and the deadline of from, which goes if that is an event, and tells if
// it could: from must be there, and nothing at the other key, unless that is to be replaced.
func (r *request) place(from string, dest *db, to string, replace bool, goes, comes string) bool {
	failIf(dest == r.db && from == to, "ERR source and destination objects are the same")
	if r.find(from) == nil || r.findIn(dest, to) != nil && !replace {
		return false
	}
	it := *r.find(from) // again: to find the other may have moved it
	if goes == "" && it.object != nil {
		it.object = it.object.clone()
	}
	dest.remove(to)
	r.put(dest, to, it)
	if goes != "" {
		r.db.remove(from)
		r.changed(from, goes, 1)
	}
	return r.changedIn(dest, to, comes, 1) > 0
}

func cmdMove(w *writer, r *request) {
	key, dest := r.next(), r.dbIndex(errNotInt)
	w.bit(r.place(key, dest, key, false, "move_from", "move_to"))
}

func cmdCopy(w *writer, r *request) {
	from, to, dest, replace := r.next(), r.next(), r.db, false
	r.options("REPLACE", &replace, "DB", func() { dest = r.dbIndex(errNotInt) })
	w.bit(r.place(from, dest, to, replace, "", "copy_to"))
}

func (r *request) cursor() uint64 {
	n, err := strconv.ParseUint(r.next(), 10, 64)
	failIf(err != nil, "ERR invalid cursor")
	return n
}

// scanOptions returns the pattern and the count of SCAN, HSCAN, SSCAN and ZSCAN, and reads more.
func (r *request) scanOptions(more ...any) (string, int) {
	pattern, n := "*", int64(10)
	r.options(append(more, "MATCH", &pattern, "COUNT", func() { n = r.int(); failIf(n < 1, errSyntax) })...)
	return pattern, int(n)
}

// cmdScan is SCAN, and KEYS, which scans all at once.
func cmdScan(w *writer, r *request) {
	from, pattern, count, kind, found := uint64(0), "", math.MaxInt, "", []string{}
	if r.cmd.name == "keys" {
		pattern = r.next()
	} else {
		from = r.cursor()
		pattern, count = r.scanOptions("TYPE", &kind)
	}
	cursor := r.db.keys.scan(from, count, func(key string, it *item) {
		if match(pattern, key) && !it.dead(r.now) && (kind == "" || strings.EqualFold(it.typeName(), kind)) {
			found = append(found, key)
		}
	})
	if r.cmd.name != "keys" {
		w.array(2)
		w.bulk(strconv.FormatUint(cursor, 10))
	}
	w.bulks(found)
}

// cmdObject is OBJECT, DEBUG OBJECT and MEMORY USAGE, which tell how a value is kept.
func cmdObject(w *writer, r *request) {
	key := r.next()
	r.options("SAMPLES", func() { failIf(r.int() < 0, errSyntax) }) // we always take as many
	it := r.find(key)
	failIf(it == nil && r.cmd.name == "debug|object", errNoKey)
	_, encoding := it.kind()
	used := int64(atomic.LoadUint32(&cmp.Or(it, new(item)).access))
	idle := r.now/1000 - used
	switch {
	case it == nil:
		w.null()
	case r.cmd.name == "object|encoding":
		w.bulk(encoding)
	case r.cmd.name == "object|idletime":
		w.int64(idle)
	case r.cmd.name == "object|refcount":
		w.int(1)
	case r.cmd.name == "memory|usage":
		w.int(len(key) + it.size())
	default: // DEBUG OBJECT
		w.simple(fmt.Sprintf("Value at:%p refcount:1 encoding:%s serializedlength:%d lru:%d "+
			"lru_seconds_idle:%d", it, encoding, it.size(), used, idle))
	}
}

// cmdWait answers what is true of a master without replicas: that none has what was written.
func cmdWait(w *writer, r *request) {
	n, timeout := r.int(), millis(parseInt(r.next()))
	r.block(w, nil, either(n > 0, timeout, -1), func(w *writer) { w.int(0) })
}

// A sortable is an element, and what SORT compares: the number that BY finds, if any, and then a text.
type sortable struct {
	element, by string
	number      float64
}

func cmdSort(w *writer, r *request) {
	key, by, gets, offset, count := r.next(), "#", []string(nil), int64(0), int64(math.MaxInt64)
	var desc, alpha, asTheyAre bool
	var dest *string
	r.options("ASC", func() { desc = false }, "DESC", &desc, "ALPHA", &alpha,
		"BY", func() { by = r.next(); asTheyAre = asTheyAre || !strings.Contains(by, "*") },
		"GET", func() { gets = append(gets, r.next()) }, "LIMIT", func() { offset, count = r.int(), r.int() },
		"STORE", func() { dest = r.destination(); failIf(dest == nil, errSyntax) })
	it := cmp.Or(r.find(key), &item{object: &list{}}) // where nothing is it sorts an empty list
	kind := it.typeName()
	failIf(kind == "string" || kind == "hash" || kind == "stream", errWrongType)
	if asTheyAre { // by their places, but for a set that is stored: nobody can know its order
		alpha, by = true, either(kind == "set" && dest != nil, "#", "")
	}
	var all []sortable
	for parts := range it.elements {
		place := either(by == "", float64(len(all)), 0)
		s := sortable{parts[0], *cmp.Or(r.follow(by, parts[0]), new(string)), place}
		if !alpha {
			number, ok := parseDouble(strings.TrimLeft(s.by, space))
			failIf(!ok && s.by != "", "ERR One or more scores can't be converted into double")
			s.number, s.by = number, s.element
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b sortable) int {
		order := cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.by, b.by))
		return either(desc, -order, order)
	})
	all = all[min(max(offset, 0), int64(len(all))):]
	all = all[:min(uint64(count), uint64(len(all)))] // a number below 0 is more than all
	gets = either(gets == nil, []string{"#"}, gets)
	l, put := &list{}, w.maybe
	if dest != nil {
		put = func(found *string) { l.push(back, *cmp.Or(found, new(string))) }
	} else {
		w.array(len(all) * len(gets))
	}
	for _, s := range all {
		for _, pattern := range gets {
			put(r.follow(pattern, s.element))
		}
	}
	if dest != nil {
		r.replace(w, *dest, "sortstore", l)
	}
}

// follow returns what a pattern of SORT leads to when element stands for its *; # is the element itself.
func (r *request) follow(pattern, element string) *string {
	before, after, ok := strings.Cut(pattern, "*")
	if !ok {
		return either(pattern == "#", &element, nil)
	}
	end, field, _ := strings.Cut(after, "->")
	end = either(field == "", after, end) // it leads to a string, else to a field of a hash
	it := r.find(before + element + end)
	h, _ := cmp.Or(it, new(item)).object.(*hash)
	return either(field == "", it.stringOrNil(), cmp.Or(h, new(hash)).get(field))
}

// --- string ------------------------------------------------------------------

func cmdGet(w *writer, r *request)    { w.maybe(r.stringItem(r.next()).stringOrNil()) }
func cmdStrLen(w *writer, r *request) { w.int(r.stringItem(r.next()).length()) }

func cmdMGet(w *writer, r *request) {
	w.array(r.left())
	for _, key := range r.rest() {
		w.maybe(r.find(key).stringOrNil())
	}
}

// read reads all arguments left as options: those about a deadline, which exclude each other, and more.
func (l *lifetime) read(r *request, alone string, more ...any) {
	said := func() {
		word := strings.ToLower(r.words[r.pos-1])
		failIf(l.word != "" && l.word != word, errSyntax)
		if l.word = word; strings.Contains(word, "x") {
			l.n = r.next()
		}
	}
	r.options(append(more, "EX", said, "PX", said, "EXAT", said, "PXAT", said, alone, said)...)
}

// cmdSet is SET, GETSET, which is SET GET, and SETEX and PSETEX, which are SET EX and SET PX.
func cmdSet(w *writer, r *request) {
	key := r.next()
	if r.left() == 1 && r.cmd.name == "set" {
		r.setString(key, r.next(), "set", 0)
		w.ok()
		return
	}
	nx, xx, get, life := false, false, r.cmd.name == "getset", lifetime{}
	if strings.HasSuffix(r.cmd.name, "setex") {
		life = lifetime{r.cmd.name, r.next()}
	}
	text := r.next()
	if r.more() {
		life.read(r, "KEEPTTL", "NX", &nx, "XX", &xx, "GET", &get)
	}
	failIf(nx && xx, errSyntax)
	at := r.deadline(life)
	it := r.find(key) // which drops what is dead, so that its deadline is not kept
	barred := nx && it != nil || xx && it == nil
	switch {
	case get:
		w.maybe(r.stringItem(key).stringOrNil())
	case barred:
		w.null()
	default:
		w.ok()
	}
	if barred {
		return
	}
	kept := either(life.word == "keepttl", cmp.Or(it, new(item)).deadline, 0)
	r.setString(key, text, "set", at+kept) // one of them is 0
	if at != 0 {
		r.notify(r.db, key, "expire")
	}
}

// cmdGetEx is GETEX, and GETDEL, which is GETEX PXAT 1.
func cmdGetEx(w *writer, r *request) {
	key, life := r.next(), either(r.cmd.name == "getdel", lifetime{"pxat", "1"}, lifetime{})
	life.read(r, "PERSIST")
	text := r.stringItem(key).stringOrNil()
	w.maybe(text)
	if text != nil && life.word != "" {
		r.expireAt(key, r.deadline(life))
	}
}

// cmdMSet is MSET and MSETNX, and SETNX, which is MSETNX of one pair.
func cmdMSet(w *writer, r *request) {
	list, onlyNew := r.pairs(), strings.HasSuffix(r.cmd.name, "nx")
	free := !onlyNew || !slices.ContainsFunc(r.cmd.keys.appendTo(nil, r.words), r.exists)
	for i := 0; free && i < len(list); i += 2 {
		r.setString(list[i], list[i+1], "set", 0)
	}
	w.done(onlyNew, oneIf(free))
}

func cmdAppend(w *writer, r *request) {
	key, more := r.next(), r.next()
	failIf(r.stringItem(key).length()+len(more) > bulkMax, errTooLong)
	t := r.editString(key)
	t.b = append(t.b, more...)
	r.changed(key, "append", 1)
	w.int(len(t.b))
}

func cmdGetRange(w *writer, r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	it := r.stringItem(key)
	w.bulk(it.slice(textSpan(start, stop, it.length())))
}

func cmdSetRange(w *writer, r *request) {
	key, offset, part := r.next(), r.int(), r.next()
	failIf(offset < 0, "ERR offset is out of range")
	n := r.stringItem(key).length()
	if part != "" {
		failIf(offset > bulkMax || int(offset)+len(part) > bulkMax, errTooLong)
		t := r.editString(key)
		t.grow(int(offset) + len(part))
		copy(t.b[offset:], part)
		r.changed(key, "setrange", 1)
		n = len(t.b)
	}
	w.int(n)
}

func cmdIncr(w *writer, r *request) {
	key, by, zero, notNumber := r.next(), "1", "0", errNotFloat
	if r.more() {
		by = r.next()
	}
	if !r.cmd.floats() {
		n := toInt(by)
		if notNumber = errNotInt; r.cmd.name[0] == 'd' {
			failIf(n == math.MinInt64, "ERR decrement would overflow")
			by = strconv.FormatInt(-n, 10)
		}
	}
	it, event := r.stringItem(key), either(r.cmd.floats(), "incrbyfloat", "incrby")
	sum := r.add(w, *cmp.Or(it.stringOrNil(), &zero), by, notNumber)
	if it != nil { // in place: its deadline stays
		it.text, it.object = sum, nil
		r.changed(key, event, 1)
	} else {
		r.setString(key, sum, event, 0)
	}
}

// floats tells of a command that counts whether it does so with floating point.
func (c *command) floats() bool { return strings.HasSuffix(c.name, "float") }

// add replies with the sum of two numbers given as text, and returns it; notNumber is thrown when n is none.
func (r *request) add(w *writer, n, by string, notNumber replyError) (sum string) {
	if r.cmd.floats() {
		x, ok := parseDecimal(n)
		failIf(!ok, notNumber)
		y, ok := parseDecimal(by)
		failIf(!ok, errNotFloat)
		failIf(x.IsInf() || y.IsInf() || !inRange(x.Add(x, y)), "ERR increment would produce NaN or Infinity")
		sum = formatDecimal(x)
		w.bulk(sum)
		return sum
	}
	x, ok := parseInt(n)
	failIf(!ok, notNumber)
	y := toInt(by)
	failIf((x+y < x) != (y < 0), "ERR increment or decrement would overflow")
	w.int64(x + y)
	return strconv.FormatInt(x+y, 10)
}

func cmdLCS(w *writer, r *request) {
	var text [2]string
	for i := range text {
		it := r.find(r.next())
		failIf(it != nil && it.typeName() != "string", "ERR The specified keys must contain string values")
		text[i] = it.string()
	}
	onlyLength, index, withLength, least := false, false, false, int64(0)
	r.options("IDX", &index, "LEN", &onlyLength, "WITHMATCHLEN", &withLength, "MINMATCHLEN", &least)
	failIf(index && onlyLength, "ERR If you want both the length and indexes, please just use IDX.")
	failIf((len(text[0])+1)*(len(text[1])+1) > bulkMax/4,
		"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	common, runs := longestCommonSubsequence(text[0], text[1])
	switch {
	case onlyLength:
		w.int(len(common))
	case !index:
		w.bulk(common)
	default:
		matches := []any{}
		for _, m := range runs {
			match := []any{[]any{m.a, m.a + m.size - 1}, []any{m.b, m.b + m.size - 1}, m.size}
			if int64(m.size) >= least {
				matches = append(matches, match[:either(withLength, 3, 2)])
			}
		}
		w.any(fields{"matches", matches, "len", len(common)})
	}
}

// --- bitmap ------------------------------------------------------------------

// bitOffset reads where a bit is; where there are fields of so many bits, #n is the n-th of them.
func (r *request) bitOffset(size int64) int64 {
	text, counted := strings.CutPrefix(r.next(), "#")
	n, ok := parseInt(text)
	n *= either(counted && n <= bulkMax*8, size, 1)
	bad := !ok || n < 0 || n>>3 >= bulkMax || counted && size == 0
	failIf(bad, "ERR bit offset is not an integer or out of range")
	return n
}

func cmdGetBit(w *writer, r *request) {
	key, at := r.next(), r.bitOffset(0)
	w.int64(int64(r.stringItem(key).bits(at, 1)))
}

func cmdSetBit(w *writer, r *request) {
	key, at := r.next(), r.bitOffset(0)
	bit, ok := parseInt(r.next())
	failIf(!ok || bit&^1 != 0, "ERR bit is not an integer or out of range")
	t := r.editString(key)
	grew := t.grow(int(at>>3) + 1)
	old := int64(t.b[at>>3]>>(7-at%8)) & 1
	setBits(t.b, at, 1, uint64(bit))
	r.changed(key, "setbit", oneIf(grew || old != bit))
	w.int64(old)
}

// bitRange reads a range in bytes or bits of a string, and returns its bits i up to and without j. Like Redis
// it reads nothing when there is no string.
func (r *request) bitRange(it *item) (i, j int) {
	if it == nil {
		return 0, 0
	}
	ends, unit := []int64{0, -1}, 8
	for k := range min(len(ends), r.left()) {
		ends[k] = r.int()
	}
	if r.more() {
		unit = 8 - 7*r.oneOf("BYTE", "BIT")
		r.end()
	}
	n := it.length() * 8 / unit
	lowest := either(r.cmd.name == "bitpos", -int64(n), math.MinInt64) // an end before the first is the first
	i, j = textSpan(ends[0], max(ends[1], lowest), n)
	return i * unit, j * unit
}

func cmdBitCount(w *writer, r *request) {
	it := r.stringItem(r.next())
	failIf(it != nil && r.left() == 1, errSyntax)
	i, j := r.bitRange(it)
	n := -bits.OnesCount64(it.bits(int64(i&^7), i&7)) - bits.OnesCount64(it.bits(int64(j), -j&7))
	for _, c := range []byte(it.slice(i/8, (j+7)/8)) {
		n += bits.OnesCount8(c)
	}
	w.int(n)
}

func cmdBitPos(w *writer, r *request) {
	key, bit := r.next(), r.int()
	failIf(bit&^1 != 0, "ERR The bit argument must be 1 or 0.")
	it, ends := r.stringItem(key), r.left() > 1
	i, j := r.bitRange(it)
	s, dull := it.string(), byte(bit)-1 // a byte without such a bit
	for ; i < j && s[i/8]>>(7-i%8)&1 != byte(bit); i++ {
		if i%8 == 0 && j-i >= 8 && s[i/8] == dull {
			i += 7
		}
	}
	endless := bit == 0 && (it == nil || !ends && j > 0) // behind the string there are zeros without end
	w.int(either(i < j || endless, i, -1))
}

func cmdBitOp(w *writer, r *request) {
	op, dest, keys := r.oneOf("AND", "OR", "XOR", "NOT"), r.next(), r.rest()
	failIf(op == 3 && len(keys) > 1, "ERR BITOP NOT must be called with a single source key.")
	var result buffer
	for n, key := range keys {
		s := buffer{[]byte(r.stringItem(key).string())}
		result.grow(len(s.b))
		s.grow(len(result.b))
		for i, b := range s.b {
			a := result.b[i]
			result.b[i] = either(n == 0 && op != 3, b, [4]byte{a & b, a | b, a ^ b, ^b}[op])
		}
	}
	r.replace(w, dest, "set", &result)
}

// A bitField is an integer in a string, and what BITFIELD does to it.
type bitField struct {
	verb, overflow string
	signed         bool
	size           int
	at, value      int64
}

func (f *bitField) decode(raw uint64) int64 {
	shift := 64 - f.size
	return either(f.signed, int64(raw<<shift)>>shift, int64(raw<<shift>>shift))
}

// plus returns n+by as far as the field can hold it; when it cannot, overflow says what then.
func (f *bitField) plus(n, by int64) (v int64, ok bool) {
	high := int64(uint64(math.MaxUint64) >> (64 - f.size + oneIf(f.signed)))
	low, sum := either(f.signed, -high-1, 0), n+by
	over := by >= 0 && (sum < n || sum > high) || by == 0 && n < 0 && !f.signed // which -1 is far beyond
	under := by <= 0 && (sum > n || sum < low)
	if !over && !under || f.overflow == "WRAP" {
		return f.decode(uint64(sum)), true
	}
	return either(over, high, low), f.overflow == "SAT"
}

func cmdBitField(w *writer, r *request) {
	key, overflow, fields, end := r.next(), "WRAP", []bitField(nil), 0
	field := func() {
		f := bitField{verb: strings.ToUpper(r.words[r.pos-1]), overflow: overflow}
		writes := f.verb != "GET"
		failIf(r.left() < 2+oneIf(writes), errSyntax)
		encoding := cmp.Or(r.next(), " ")
		size, ok := parseInt(encoding[1:])
		f.signed, f.size = encoding[0] == 'i', int(size)
		failIf(!ok || size < 1 || size > int64(63+oneIf(f.signed)) || !f.signed && encoding[0] != 'u', "ERR "+
			"Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
		if f.at = r.bitOffset(size); writes {
			f.value = r.int()
			end = max(end, int(f.at)+f.size)
		}
		fields = append(fields, f)
	}
	r.options("GET", field, "SET", field, "INCRBY", field, "OVERFLOW", func() {
		modes := []string{"WRAP", "SAT", "FAIL"}
		overflow = modes[r.choose("ERR Invalid OVERFLOW type specified", modes...)]
	})
	failIf(end > 0 && r.cmd.flags&readonly != 0, "ERR BITFIELD_RO only supports the GET subcommand")
	it, t, grew, changes := r.stringItem(key), &buffer{}, false, 0
	if end > 0 {
		t = r.editString(key)
		grew, it = t.grow((end+7)/8), &item{object: t}
	}
	w.array(len(fields))
	for _, f := range fields {
		old := f.decode(it.bits(f.at, f.size))
		v, ok := f.plus(either(f.verb == "INCRBY", old, f.value), either(f.verb == "INCRBY", f.value, 0))
		switch {
		case f.verb == "GET":
			w.int64(old)
		case !ok:
			w.null()
		default:
			setBits(t.b, f.at, f.size, uint64(v))
			changes += oneIf(v != old)
			w.int64(either(f.verb == "SET", old, v))
		}
	}
	r.changed(key, "setbit", max(changes, oneIf(grew)))
}

// --- list --------------------------------------------------------------------

// end returns the end at which a command works, which is in its name: rpush, bzpopmax.
func (c *command) end() end {
	return end(oneIf(strings.Contains(c.name, "rp") || strings.HasSuffix(c.name, "max")))
}

func cmdPush(w *writer, r *request) {
	key, where := r.next(), r.cmd.end()
	l := edit[list](r, key)
	elements := either(l.n == 0 && strings.HasSuffix(r.cmd.name, "x"), nil, r.rest())
	for _, s := range elements {
		l.push(where, s)
	}
	w.int(l.n)
	r.changed(key, either(where == front, "lpush", "rpush"), len(elements))
}

// pop makes LPOP, RPOP, SPOP, ZPOPMAX and ZPOPMIN.
func pop[T any, P pointer[T]](w *writer, r *request) {
	key, kind, count, counts := r.next(), r.cmd.group.name, 1, r.more()
	failIf(kind == "list" && r.left() > 1, errArity, r.cmd)
	if failIf(r.left() > 1, errSyntax); counts {
		count = r.atLeast(0, "ERR value is out of range, must be positive")
	}
	c := edit[T, P](r, key)
	count = min(count, c.len())
	switch {
	case kind == "sorted-set":
		w.rows(either(counts, count, 2*count), counts)
	case kind == "set" && counts:
		w.set(count)
	case c.len() == 0 && counts:
		w.nullArray()
	case c.len() == 0:
		w.null()
	case counts:
		w.array(count)
	}
	r.take(w, key, c, r.cmd.end(), count, func() { w.row(counts) })
}

// take removes count elements from one end, or any of a set, and writes them, pairs behind begin.
func (r *request) take(w *writer, key string, from container, where end, count int, begin func()) {
	switch c := from.(type) {
	case *list:
		for range count {
			w.bulk(c.pop(where))
		}
		r.changed(key, either(where == front, "lpop", "rpop"), count)
	case *set:
		for range count {
			m := c.random()
			c.remove(m)
			w.bulk(m)
		}
		r.changed(key, "spop", count)
	case *zset:
		first := either(where == front, 0, c.len()-count)
		for _, e := range c.cut(first, first+count, where == back) {
			begin()
			w.bulk(e.member)
			w.double(e.score)
		}
		r.changed(key, either(where == front, "zpopmin", "zpopmax"), count)
	}
}

// await runs then with the first of keys that holds a T. When none does, the client waits, or is told none.
func await[T any, P pointer[T]](w *writer, r *request, keys []string, seconds string,
	none func(w *writer), then func(key string, c P)) {
	timeout := time.Duration(-1)
	if r.cmd.flags&blocking != 0 {
		f, ok := parseDouble(seconds)
		failIf(!ok, "ERR timeout is not a float or out of range")
		ms := math.Ceil(f * 1000) // the largest is negative, as in C
		timeout = millis(int64(either(ms >= 0 && ms < 1<<63, ms, -1)), true)
	}
	if r.ready != "" { // filled by something that may be of another type
		_, ok := cmp.Or(r.find(r.ready), new(item)).object.(P)
		keys = either(ok, []string{r.ready}, nil)
	}
	for _, key := range keys {
		if c := edit[T, P](r, key); c.len() > 0 {
			then(key, c)
			return
		}
	}
	r.block(w, keys, timeout, none)
}

func mpop[T any, P pointer[T]](w *writer, r *request) {
	r.pos += oneIf(r.cmd.flags&blocking != 0) // the timeout, which is looked at last
	keys, where, count := r.keysAfterCount(errSyntax), r.side(), 1
	r.options("COUNT", func() { count = r.atLeast(1, "ERR count should be greater than 0"); r.end() })
	await(w, r, keys, r.words[1], (*writer).nullArray, func(key string, c P) {
		count = min(count, c.len())
		w.array(2)
		w.bulk(key)
		w.array(count)
		r.take(w, key, c, where, count, func() { w.array(2) })
	})
}

func bpop[T any, P pointer[T]](w *writer, r *request) {
	await(w, r, r.several(r.left()-1), r.next(), (*writer).nullArray, func(key string, c P) {
		w.array(2 + oneIf(r.cmd.group.name != "list"))
		w.bulk(key)
		r.take(w, key, c, r.cmd.end(), 1, func() {})
	})
}

// millis makes a timeout of what parseInt read, in ms; a longer one than a Duration can hold is cut.
func millis(n int64, ok bool) time.Duration {
	failIf(!ok, "ERR timeout is not an integer or out of range")
	failIf(n < 0, "ERR timeout is negative")
	return time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// block makes the client wait until one of the keys is filled and the command can be run again, or until the
// timeout, which is negative for not at all. What cannot wait, like all in a transaction, answers none.
func (r *request) block(w *writer, keys []string, timeout time.Duration, none func(w *writer)) {
	switch {
	case r.ready != "": // it goes on waiting
	case r.nested || timeout < 0:
		none(w)
	default:
		r.late, r.none = writer{resp3: w.resp3}, either(keys == nil, none, (*writer).nullArray)
		r.blocked.Store(true)
		r.waiter = r.db.wait(keys, timeout, func(key string) bool {
			r.ready, r.clock = key, time.Time{}
			r.call(&r.late)
			r.ready = ""
			return len(r.late.buf) > 0
		}, func() { r.none = nil; r.SetReadDeadline(time.Unix(1, 0)) })
	}
}

// cmdLMove is LMOVE and RPOPLPUSH, whose name says the sides, and those that wait until a timeout.
func cmdLMove(w *writer, r *request) {
	from, to, take, put := r.next(), r.next(), back, front
	if strings.HasSuffix(r.cmd.name, "move") {
		take, put = r.side(), r.side()
	}
	await(w, r, []string{from}, r.words[len(r.words)-1], (*writer).null, func(_ string, source *list) {
		dest := edit[list](r, to) // which may be the same
		s := source.pop(take)
		dest.push(put, s)
		r.changed(to, either(put == front, "lpush", "rpush"), 1)
		r.changed(from, either(take == front, "lpop", "rpop"), 1)
		w.bulk(s)
	})
}

// element reads an index, and returns the element there in place; nil when there is none.
func (r *request) element(l *list) *string {
	if l.n == 0 { // then the index may be anything
		return nil
	}
	index := r.int()
	if i, j := span(index, index, l.n); i < j {
		return l.get(l.place(i))
	}
	return nil
}

func cmdLIndex(w *writer, r *request) { w.maybe(r.element(read[list](r, r.next()))) }
func cmdLSet(r *request) {
	key := r.next()
	l := read[list](r, key)
	failIf(l.n == 0, errNoKey)
	p := r.element(l)
	failIf(p == nil, "ERR index out of range")
	*p = r.next()
	r.changed(key, "lset", 1)
}

func cmdLRange(w *writer, r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	l := read[list](r, key)
	i, j := span(start, stop, l.n)
	w.array(j - i)
	for e := range l.span(i, j, false) {
		w.bulk(e)
	}
}

func cmdLTrim(r *request) {
	key, start, stop := r.next(), r.int(), r.int()
	l := edit[list](r, key)
	i, j := span(start, stop, l.n)
	existed, removed := oneIf(l.n > 0), l.n-(j-i)
	l.cut(l.place(j), l.n-j)
	l.cut(l.place(0), i)
	r.changed(key, "ltrim", max(removed, existed))
}

func cmdLRem(w *writer, r *request) {
	key, count, s := r.next(), r.int(), r.next()
	l, kept, removed := edit[list](r, key), &list{}, 0
	most := max(count, -count) // 0 is no limit, and so is what has no opposite
	for e := range l.span(0, l.n, count < 0) {
		if e == s && (most <= 0 || int64(removed) < most) {
			removed++
		} else {
			kept.push(either(count < 0, front, back), e)
		}
	}
	*l = *kept
	w.int(r.changed(key, "lrem", removed))
}

func cmdLInsert(w *writer, r *request) {
	key, offset, pivot, s := r.next(), r.oneOf("BEFORE", "AFTER"), r.next(), r.next()
	l := read[list](r, key)
	found := positions(l, pivot, 1, 1, 0)
	for _, i := range found {
		l.insert(l.place(i+offset), s)
	}
	r.changed(key, "linsert", len(found))
	w.int(either(found == nil, -oneIf(l.n > 0), l.n))
}

func cmdLPos(w *writer, r *request) {
	key, s := r.next(), r.next()
	rank, count, most := int64(1), -1, 0 // -1: one place, which is not in an array
	r.options("RANK", func() {
		rank = r.int()
		failIf(rank == 0, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "+
			"... or use negative to start from the end of the list")
	}, "COUNT", func() { count = r.atLeast(0, "ERR COUNT can't be negative") },
		"MAXLEN", func() { most = r.atLeast(0, "ERR MAXLEN can't be negative") })
	found := positions(read[list](r, key), s, rank, max(count, -count), most)
	if count >= 0 {
		w.array(len(found))
	} else if len(found) == 0 {
		w.null()
	}
	for _, i := range found {
		w.int(i)
	}
}

// --- hash --------------------------------------------------------------------

// cmdHSet is HSET and HSETNX, which reply with the number of new fields, and HMSET.
func cmdHSet(w *writer, r *request) {
	key, list, added, onlyNew := r.next(), r.pairs(), 0, r.cmd.name == "hsetnx"
	h := edit[hash](r, key)
	for i := 0; i < len(list); i += 2 {
		if !onlyNew || !h.has(list[i]) {
			added += oneIf(h.put(list[i], list[i+1]))
		}
	}
	r.changed(key, "hset", either(onlyNew, added, len(list)/2))
	w.done(r.cmd.name != "hmset", added)
}

// look makes the commands that look up names in a dict: put writes what is there, or that nothing is.
func look[V any](find func(r *request, key string) *dict[V], put func(w *writer, v *V)) handler {
	return func(w *writer, r *request) {
		d := find(r, r.next())
		if r.cmd.arity < 0 {
			w.array(r.left())
		}
		for _, name := range r.rest() {
			put(w, d.get(name))
		}
	}
}

func putBit[V any](w *writer, v *V)  { w.bit(v != nil) }
func putLength(w *writer, v *string) { w.int(len(*cmp.Or(v, new(string)))) }

// remove makes HDEL, SREM and ZREM.
func remove[C interface{ remove(name string) bool }](edit func(r *request, key string) C) handler {
	return func(w *writer, r *request) {
		key := r.next()
		w.int(r.changed(key, r.cmd.name, r.tally(edit(r, key).remove)))
	}
}

func cmdHGetAll(w *writer, r *request) {
	h, names, values := read[hash](r, r.next()), r.cmd.name != "hvals", r.cmd.name != "hkeys"
	either(names && values, w.mapOf, w.array)(h.n)
	for field, v := range h.all {
		if names {
			w.bulk(field)
		}
		if values {
			w.bulk(*v)
		}
	}
}

func cmdHIncr(w *writer, r *request) {
	key, field, by, zero := r.next(), r.next(), r.next(), "0"
	if r.cmd.floats() {
		f, ok := parseDecimal(by)
		failIf(!ok, errNotFloat)
		failIf(f.IsInf(), "ERR value is NaN or Infinity")
	} else {
		toInt(by)
	}
	h := edit[hash](r, key)
	notNumber := replyError("ERR hash value is not " + either(r.cmd.floats(), "a float", "an integer"))
	h.put(field, r.add(w, *cmp.Or(h.get(field), &zero), by, notNumber))
	r.changed(key, r.cmd.name, 1)
}

// A view is how hashes, sets and sorted sets look alike: a dict, its values written, and the word for them.
type view[V any] struct {
	find func(r *request, key string) *dict[V]
	put  func(w *writer, v *V)
	word string
}

var (
	fieldsOf  = view[string]{read[hash], (*writer).maybe, "WITHVALUES"}
	membersOf = view[float64]{read[set], func(*writer, *float64) {}, ""}
	scoresOf  = view[float64]{scoresAt, putScore, "WITHSCORES"}
)

// random is HRANDFIELD, SRANDMEMBER and ZRANDMEMBER.
func (see view[V]) random(w *writer, r *request) {
	key, counts, count, values := r.next(), r.more(), int64(1), false
	failIf(see.word == "" && r.left() > 1, errSyntax)
	if counts {
		count = r.int()
		failIf(count == math.MinInt64, errCountRange)
	}
	r.options(see.word, func() { values = true; r.end() })
	failIf(values && (count < -math.MaxInt64/2 || count > math.MaxInt64/2), "ERR value is out of range")
	d := see.find(r, key)
	failIf(d.n > 0 && count < -1<<24, errCountRange) // unlike Redis: it would fill the memory
	list := d.picks(either(d.n > 0, count, 0))
	if counts {
		w.rows(len(list), values)
	} else if d.n == 0 {
		w.null()
	}
	for _, e := range list {
		w.row(values)
		w.bulk(e.key)
		if values {
			see.put(w, &e.value)
		}
	}
}

// scan is HSCAN, SSCAN and ZSCAN.
func (see view[V]) scan(w *writer, r *request) {
	key, from, n := r.next(), r.cursor(), 0
	d, pattern, count := see.find(r, key), "", 0
	if d.n > 0 { // else Redis does not look at them
		pattern, count = r.scanOptions()
	}
	found := writer{} // without RESP 3: scores are strings here
	cursor := d.scan(from, count, func(name string, v *V) {
		if match(pattern, name) {
			found.bulk(name)
			see.put(&found, v)
			n += 1 + oneIf(see.word != "")
		}
	})
	w.array(2)
	w.bulk(strconv.FormatUint(cursor, 10))
	w.array(n)
	w.buf = append(w.buf, found.buf...)
}

func scoresAt(r *request, key string) *dict[float64] { return &read[zset](r, key).scores }
func putScore(w *writer, v *float64)                 { orNull(w, v, (*writer).double) }

// --- set ---------------------------------------------------------------------

func cmdSAdd(w *writer, r *request) {
	key := r.next()
	s := edit[set](r, key)
	w.int(r.changed(key, "sadd", r.tally(func(m string) bool { return s.put(m, 1) })))
}

func cmdSMembers(w *writer, r *request) { members(w, read[set](r, r.next())) }
func members(w *writer, s *set) {
	w.set(s.n)
	for m := range s.all {
		w.bulk(m)
	}
}

func cmdSMove(w *writer, r *request) {
	from, to, m := r.next(), r.next(), r.next()
	source := edit[set](r, from)
	dest := edit[set](r, either(source.n > 0, to, from)) // from nothing there may be anything at the other
	moves := source.has(m)
	if moves && from != to {
		source.remove(m)
		r.changed(from, "srem", 1)
		r.changed(to, "sadd", oneIf(dest.put(m, 1)))
	}
	w.bit(moves)
}

// operation returns what a command of set algebra does, which is in its name.
func (c *command) operation() operation { return operation(strings.TrimSuffix(c.name[1:], "store")) }

// operands returns what is at keys: sets and, where scores are wanted, sorted sets.
func (r *request) operands(keys []string, scores bool) (list []operand) {
	for _, key := range keys {
		sorted := scores && r.db.find(key, r.now).typeName() == "zset"
		list = append(list, operand{either(sorted, scoresAt, read[set])(r, key), 1})
	}
	return list
}

func cmdSetAlgebra(w *writer, r *request) {
	dest := r.destination()
	if result := r.cmd.operation().combine(r.operands(r.rest(), false), lesser, 0); dest == nil {
		members(w, result)
	} else {
		r.replace(w, *dest, r.cmd.name, result)
	}
}

func cmdScoreAlgebra(w *writer, r *request) {
	dest, op := r.destination(), r.cmd.operation()
	operands, how, withScores := r.sortedOperands(), aggregate(sum), false
	r.options("WITHSCORES", func() { failIf(dest != nil, errSyntax); withScores = true }, "WEIGHTS", func() {
		failIf(op == difference || r.left() < len(operands), errSyntax)
		for i := range operands {
			operands[i].weight = r.score("ERR weight value is not a float")
		}
	}, "AGGREGATE", func() {
		failIf(op == difference, errSyntax)
		how = []aggregate{sum, lesser, greater}[r.oneOf("SUM", "MIN", "MAX")]
	})
	z := &zset{}
	for m, score := range op.combine(operands, how, 0).all {
		z.add(m, *score)
	}
	if dest != nil {
		r.replace(w, *dest, r.cmd.name, z)
	} else {
		w.ranked(z, 0, z.len(), false, withScores)
	}
}

// ranked writes the members with rank i up to and without j.
func (w *writer) ranked(z *zset, i, j int, reverse, withScores bool) {
	w.rows(j-i, withScores)
	for e := range z.order.span(i, j, reverse) {
		w.row(withScores)
		w.bulk(e.member)
		if withScores {
			w.double(e.score)
		}
	}
}

func (r *request) sortedOperands() []operand {
	n := r.int()
	failIf(n < 1, "ERR at least 1 input key is needed for '%s' command", r.cmd)
	failIf(n > int64(r.left()), errSyntax)
	return r.operands(r.several(int(n)), true)
}

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
	w.int(intersection.combine(operands, sum, limit).n)
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
func (r *request) replace(w *writer, key, event string, c container) {
	r.find(key) // which removes a dead one
	if c.len() > 0 {
		r.put(r.db, key, item{object: c})
		r.changed(key, event, 1)
	} else {
		r.delete(key)
	}
	w.int(c.len())
}

// --- sorted set --------------------------------------------------------------

func (r *request) score(e replyError) float64 {
	f, ok := parseDouble(r.next())
	failIf(!ok, e)
	return f
}

// cmdZAdd is ZADD, and ZINCRBY, which is ZADD INCR.
func cmdZAdd(w *writer, r *request) {
	var nx, xx, gt, lt, ch bool
	key, incr := r.next(), r.cmd.name == "zincrby"
	words, is := []string{"NX", "XX", "GT", "LT", "CH", "INCR"}, []*bool{&nx, &xx, &gt, &lt, &ch, &incr}
	for i := 0; i >= 0 && r.more(); {
		if i = slices.Index(words, strings.ToUpper(r.words[r.pos])); i >= 0 {
			*is[i] = true
			r.pos++
		}
	}
	failIf(r.left() == 0 || r.left()%2 != 0, errSyntax)
	failIf(nx && xx, "ERR XX and NX options at the same time are not compatible")
	failIf((gt || lt) && nx || gt && lt, "ERR GT, LT, and/or NX options at the same time are not compatible")
	failIf(incr && r.left() > 2, "ERR INCR option supports a single increment-element pair")
	list := make([]scored, 0, r.left()/2)
	for r.more() {
		list = append(list, scored{r.score(errNotFloat), r.next()})
	}
	z, added, changed := edit[zset](r, key), 0, 0
	for _, e := range list {
		old := z.scores.get(e.member)
		if incr && old != nil {
			e.score += *old
			failIf(math.IsNaN(e.score), "ERR resulting score is not a number (NaN)")
		}
		skip := old == nil && xx || old != nil && (nx || gt && e.score <= *old || lt && e.score >= *old)
		if incr {
			putScore(w, either(skip, nil, &e.score))
		}
		if !skip {
			changed += oneIf(old == nil || *old != e.score)
			added += oneIf(z.add(e.member, e.score))
		}
	}
	r.changed(key, either(incr, "zincr", "zadd"), changed)
	if !incr {
		w.int(either(ch, changed, added))
	}
}

func cmdZRank(w *writer, r *request) {
	z, m := read[zset](r, r.next()), r.next()
	orNull(w, z.scores.get(m), func(w *writer, score float64) {
		rank := z.order.rank(scored{score, m}.before)
		w.int(either(r.cmd.name == "zrevrank", z.len()-1-rank, rank))
	})
}

// order returns what a command cuts a range by, which is in its name: rank, score or lex.
func (c *command) order() string {
	return either(strings.Contains(c.name, "lex"), "lex",
		either(strings.Contains(c.name, "score") || c.name == "zcount", "score", "rank"))
}

// interval reads the two ends of a range, and finds the sorted set and the ranks i up to and without j.
func (r *request) interval(key, by, first, last string) (z *zset, i, j int) {
	if by == "rank" {
		start, stop := toInt(first), toInt(last)
		z = read[zset](r, key)
		i, j = span(start, stop, z.len())
		return z, i, j
	}
	border := either(by == "lex", lexBorder, scoreBorder)
	low, high := border(first, false), border(last, true)
	z = read[zset](r, key)
	i = z.order.rank(low)
	return z, i, max(i, z.order.rank(high))
}

// scoreBorder reads a score, exclusive behind (. It is less strict than ZADD: nothing at all is 0.
func scoreBorder(s string, upper bool) border[scored] {
	text, exclusive := strings.CutPrefix(s, "(")
	f, ok := strtod(strings.TrimLeft(text, space))
	failIf(!ok && text != "", "ERR min or max is not a float")
	equal := exclusive != upper // what equals the border lies before it
	return func(e *scored) bool { return e.score < f || equal && e.score == f }
}

// lexBorder reads [member, (member, - or +.
func lexBorder(s string, upper bool) border[scored] {
	if s == "-" || s == "+" {
		return func(e *scored) bool { return s == "+" }
	}
	failIf(s == "" || s[0] != '[' && s[0] != '(', "ERR min or max not valid string range item")
	equal := (s[0] == '(') != upper
	return func(e *scored) bool { return e.member < s[1:] || equal && e.member == s[1:] }
}

// cmdZRange is all ranges of members; ZRANGE and ZRANGESTORE have options for what the names of others say.
func cmdZRange(w *writer, r *request) {
	dest, by := r.destination(), r.cmd.order()
	reverse := strings.Contains(r.cmd.name, "rev")
	key, first, last := r.next(), r.next(), r.next()
	withScores, offset, count, fixed := false, int64(0), int64(-1), !strings.Contains(r.cmd.usage, "REV]")
	r.options("LIMIT", func() { offset, count = r.int(), r.int() },
		"WITHSCORES", func() { failIf(dest != nil, errSyntax); withScores = true },
		"REV", func() { failIf(fixed || reverse, errSyntax); reverse = true },
		"BYSCORE", func() { failIf(fixed || by != "rank", errSyntax); by = "score" },
		"BYLEX", func() { failIf(fixed || by != "rank", errSyntax); by = "lex" })
	failIf(count != -1 && by == "rank",
		"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	failIf(withScores && by == "lex", "ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	if reverse && by != "rank" {
		first, last = last, first
	}
	z, i, j := r.interval(key, by, first, last)
	if by == "rank" && reverse {
		i, j = z.len()-j, z.len()-i
	}
	offset = either(by == "rank", 0, offset)      // whatever LIMIT said
	skip := int(min(uint64(offset), uint64(j-i))) // a number below 0 is more than all
	size := int(min(uint64(count), uint64(j-i-skip)))
	i = either(reverse, j-skip-size, i+skip)
	if dest == nil {
		w.ranked(z, i, i+size, reverse, withScores)
		return
	}
	result := &zset{}
	for e := range z.order.span(i, i+size, false) {
		result.add(e.member, e.score)
	}
	r.replace(w, *dest, r.cmd.name, result)
}

// cmdZCount is ZCOUNT, ZLEXCOUNT and ZREMRANGEBYRANK, -SCORE and -LEX: it counts a range, or removes it.
func cmdZCount(w *writer, r *request) {
	key := r.next()
	_, i, j := r.interval(key, r.cmd.order(), r.next(), r.next())
	if r.cmd.flags&write != 0 {
		edit[zset](r, key).cut(i, j, false)
		r.changed(key, r.cmd.name, j-i)
	}
	w.int(j - i)
}

// --- stream ------------------------------------------------------------------

// toStreamID reads ms-seq, or ms alone, to which it adds seq.
func toStreamID(s, seq string) string {
	ms, rest, both := strings.Cut(s, "-")
	a, err := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(either(both, rest, seq), 10, 64)
	failIf(cmp.Or(err, err2) != nil, "ERR Invalid stream ID specified as stream command argument")
	return streamID(a, b)
}

func formatStreamID(id string) string {
	ms, seq := streamNumbers(id)
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(seq, 10)
}

// trimming reads how XADD and XTRIM cut off the beginning of a stream, up to the id in XADD. It returns what
// does so and tells how many entries went, and whether XADD is not to make a stream.
func (r *request) trimming() (trim func(s *stream) int, noCreate bool) {
	by, size, from, limit, nodes, more := "", int64(math.MaxInt64), "", int64(-1), false, true
	for more && r.more() {
		switch word := r.option(); word {
		case "MAXLEN", "MINID":
			failIf(by != "", "ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
			threshold := r.next()
			if nodes = threshold == "~"; (nodes || threshold == "=") && r.more() {
				threshold = r.next()
			}
			if by = word; by == "MINID" {
				from = toStreamID(threshold, "0")
			} else {
				size = toInt(threshold)
				failIf(size < 0, "ERR The MAXLEN argument must be >= 0.")
			}
		case "LIMIT":
			limit = r.int()
			failIf(limit < 0, "ERR The LIMIT argument must be >= 0.")
		case "NOMKSTREAM":
			noCreate = true
		default:
			r.pos, more = r.pos-1, false
		}
	}
	failIf(r.cmd.name == "xtrim" && (noCreate || r.more()), errSyntax)
	const refusal = "ERR syntax error, LIMIT cannot be used without "
	failIf(limit > 0 && by == "", refusal+"specifying a trimming strategy")
	failIf(limit >= 0 && !nodes, refusal+"the special ~ option")
	return func(s *stream) int {
		n := max(s.n-int(min(size, math.MaxInt32)), s.rank(atID(from, false))) // one was given, at most
		if node := r.server.config.int("stream-node-max-entries"); nodes && node > 0 {
			most := either(limit < 0, 100*node, cmp.Or(limit, math.MaxInt64))
			n = int(min(int64(n), most))
			n = either(n < s.n, max(0, n-(s.added-s.n+n)%int(node)), n) // Redis lets go of whole nodes
		}
		s.cut(s.place(0), n)
		return n
	}, noCreate
}

func cmdXAdd(w *writer, r *request) {
	key := r.next()
	trim, noCreate := r.trimming()
	text := r.next()
	ms, counts := strings.CutSuffix(text, "-*")
	id := streamID(uint64(r.now), 0)
	if text != "*" {
		id = toStreamID(either(counts, ms+"-0", text), "0")
		failIf(!counts && id == firstStreamID, "ERR The ID specified in XADD must be greater than 0-0")
	}
	fields := r.pairs()
	if noCreate && r.find(key) == nil {
		w.null()
		return
	}
	s := edit[stream](r, key)
	top := cmp.Or(s.last, firstStreamID)
	failIf(top == lastStreamID, "ERR The stream has exhausted the last possible ID, unable to add more items")
	a, b := streamNumbers(top)
	if text == "*" && id <= top || counts && id[:8] == top[:8] && b < math.MaxUint64 {
		id = streamID(a+uint64(oneIf(b == math.MaxUint64)), b+1)
	}
	failIf(id <= top, "ERR The ID specified in XADD is equal or smaller than the target stream top item")
	s.add(append(streamEntry{id}, fields...))
	r.changed(key, "xadd", 1)
	if trim(s) > 0 {
		r.notify(r.db, key, "xtrim")
	}
	w.bulk(formatStreamID(id))
}

func cmdXTrim(w *writer, r *request) {
	key := r.next()
	trim, _ := r.trimming()
	w.int(r.changed(key, "xtrim", trim(edit[stream](r, key))))
}

func cmdXDel(w *writer, r *request) {
	key, ids := r.next(), []string(nil)
	s := edit[stream](r, key)
	before := s.n
	for _, arg := range either(s.last != "", r.rest(), nil) { // Redis looks at no ids when there is no stream
		ids = append(ids, toStreamID(arg, "0"))
	}
	for _, id := range ids {
		s.cut(s.search(atID(id, false)), s.rank(atID(id, true))-s.rank(atID(id, false)))
	}
	w.int(r.changed(key, "xdel", before-s.n))
}

// idBorder reads an end of a range: an id, exclusive behind (, or - or +.
func idBorder(s string, upper bool) border[streamEntry] {
	const most = "18446744073709551615"
	text, exclusive := strings.CutPrefix(s, "(")
	text = cmp.Or(map[string]string{"-": "0-0", "+": most + "-" + most}[s], text)
	id := toStreamID(text, either(upper, most, "0"))
	failIf(exclusive && !upper && id == lastStreamID, "ERR invalid start ID for the interval")
	failIf(exclusive && upper && id == firstStreamID, "ERR invalid end ID for the interval")
	return atID(id, exclusive != upper)
}

func cmdXRange(w *writer, r *request) {
	key, first, last, count := r.next(), r.next(), r.next(), int64(math.MaxInt64)
	reverse := r.cmd.name == "xrevrange"
	if reverse {
		first, last = last, first
	}
	low, high := idBorder(first, false), idBorder(last, true)
	r.options("COUNT", &count)
	s := read[stream](r, key)
	if i := s.rank(low); count <= 0 && s.last != "" { // it is there
		w.nullArray()
	} else {
		w.entries(s, i, max(i, s.rank(high)), count, reverse)
	}
}

// entries writes at most count of the entries from place i up to and without j.
func (w *writer) entries(s *stream, i, j int, count int64, reverse bool) {
	n := int(min(max(count, 0), int64(j-i)))
	i = either(reverse, j-n, i)
	w.array(n)
	for e := range s.span(i, i+n, reverse) {
		w.array(2)
		w.bulk(formatStreamID(e[0]))
		w.bulks(e[1:])
	}
}

func cmdXRead(w *writer, r *request) {
	count, timeout, keys, ids := int64(0), time.Duration(-1), []string(nil), []string(nil)
	r.options("COUNT", &count, "BLOCK", func() { timeout = millis(parseInt(r.next())) }, "STREAMS", func() {
		failIf(r.left()%2 != 0, "ERR Unbalanced XREAD list of streams: "+
			"for each stream key an ID or '$' must be specified.")
		keys, ids = r.several(r.left()/2), slices.Clone(r.rest())
	})
	failIf(len(keys) == 0, errSyntax)
	if count <= 0 { // who waited is not flooded
		count = either[int64](r.ready == "", math.MaxInt64, 1000)
	}
	found, n := writer{resp3: w.resp3}, 0
	for i, key := range keys {
		if r.ready != "" && (key != r.ready || r.find(key).typeName() != "stream") {
			continue
		}
		s := read[stream](r, key)
		if ids[i] == "$" {
			ids[i] = formatStreamID(cmp.Or(s.last, firstStreamID))
		}
		failIf(ids[i] == ">", "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "+
			"<group> <consumer> option.")
		if at := s.rank(atID(toStreamID(ids[i], "0"), true)); at < s.n {
			n++
			found.column()
			found.bulk(key)
			found.entries(s, at, s.n, count, false)
		}
	}
	switch {
	case n > 0:
		w.begin('%', n, n)
		w.buf = append(w.buf, found.buf...)
	case timeout >= 0:
		r.words = append(slices.Clone(r.words[:len(r.words)-len(ids)]), ids...) // $ is the last id as of now
		r.block(w, keys, timeout, (*writer).nullArray)
	default:
		w.nullArray()
	}
}

// --- pub/sub -----------------------------------------------------------------

func cmdPublish(w *writer, r *request) { w.int(r.server.publish(r.next(), r.next())) }
func cmdPubsubNumPat(w *writer, r *request) {
	r.setShared(func() { w.int(len(r.server.topics[patterns])) })
}

// cmdSubscribe is SUBSCRIBE, PSUBSCRIBE and their opposites, which without arguments mean all.
func cmdSubscribe(w *writer, r *request) {
	kind, topics := either(r.cmd.name[0] == 'p', patterns, channels), r.rest()
	change := either(strings.Contains(r.cmd.name, "un"), r.unsubscribe, r.subscribe)
	if len(topics) == 0 {
		topics = slices.Collect(maps.Keys(r.topics[kind]))
	}
	confirm := func(topic any) { w.push(3); w.each(r.cmd.name, topic, r.subscriptions()) }
	if len(topics) == 0 {
		confirm(nil)
	}
	r.setShared(func() {
		for _, topic := range topics {
			change(kind, topic)
			confirm(topic)
		}
		r.handOver() // before anybody can publish
	})
}

func cmdPubsubChannels(w *writer, r *request) {
	failIf(r.left() > 1, errTryHelp, r.words[1], strings.ToUpper(r.words[0]))
	var found []string
	r.setShared(func() { found = slices.Collect(maps.Keys(r.server.topics[channels])) })
	for _, pattern := range r.rest() { // which is one at most
		found = slices.DeleteFunc(found, func(channel string) bool { return !match(pattern, channel) })
	}
	w.bulks(found)
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
	r.setShared(func() { r.subscribe(monitors, ""); r.handOver() })
}

// --- transactions ------------------------------------------------------------

func cmdMulti(r *request) {
	failIf(r.queueing(), "ERR MULTI calls can not be nested")
	r.setShared(func() { r.queue = []request{*r} })
}

// discard ends a transaction, and forgets what it waited for and watched.
func (r *request) discard() {
	r.aborted = false
	r.watcher.unwatch()
	r.setShared(func() { r.queue = nil })
}

func cmdDiscard(r *request) {
	failIf(!r.queueing(), "ERR DISCARD without MULTI")
	r.discard()
}

func cmdExec(w *writer, r *request) {
	failIf(!r.queueing(), "ERR EXEC without MULTI")
	queue, aborted, intact := r.queue[1:], r.aborted, r.watcher.intact(r.now)
	r.discard()
	failIf(aborted, "EXECABORT Transaction discarded because of previous errors.")
	if !intact {
		w.nullArray()
		return
	}
	w.array(len(queue))
	for i := range queue {
		queue[i].call(w)
	}
}

func cmdUnwatch(r *request) { r.watcher.unwatch() }
func cmdWatch(r *request) {
	failIf(r.queueing(), "ERR WATCH inside MULTI is not allowed")
	for _, key := range r.rest() {
		r.find(key) // which removes a dead one
		r.db.watch(&r.watcher, key)
	}
}

// --- server ------------------------------------------------------------------

func cmdACLWhoami(w *writer, r *request)     { w.bulk("default") }
func cmdCluster(w *writer, r *request)       { fail("ERR This instance has cluster support disabled") }
func cmdConfigRewrite(w *writer, r *request) { fail("ERR The server is running without a config file") }
func cmdDBSize(w *writer, r *request)        { w.int(r.db.keys.n) }
func cmdDebugExpire(r *request)              { r.store.lazyOnly.Store(r.int() == 0) }
func cmdLastSave(w *writer, r *request)      { w.int64(r.server.saver.last.Load()) }
func cmdRole(w *writer, r *request)          { w.any([]any{"master", 0, []any{}}) }

func cmdTime(w *writer, r *request) {
	now := r.store.clock.at(time.Now())
	w.bulks([]string{strconv.FormatInt(now/1e6, 10), strconv.FormatInt(now%1e6, 10)})
}

// cmdFlush is FLUSHDB and FLUSHALL. ASYNC and SYNC make no difference: it takes no time.
func cmdFlush(r *request) {
	r.options("ASYNC", r.end, "SYNC", r.end)
	for _, d := range r.store.dbs {
		if d == r.db || r.cmd.name == "flushall" {
			r.store.changes.Add(int64(d.keys.n) + 1)
			r.store.replace(d, &db{}, r.now)
		}
	}
	r.store.changed = append(r.store.changed, change{})
}

func cmdSwapDB(r *request) {
	a, b := r.dbIndex("ERR invalid first DB index"), r.dbIndex("ERR invalid second DB index")
	if was := *a; a != b {
		r.store.replace(a, b, r.now)
		r.store.replace(b, &was, r.now)
	}
	r.store.changes.Add(1)
}

func cmdSave(r *request) {
	failIf(!r.server.saver.busy.TryLock(), errSaving)
	defer r.server.saver.busy.Unlock()
	failIf(r.server.saveNow() != nil, "ERR")
}

func cmdBGSave(w *writer, r *request) {
	r.options("SCHEDULE", r.end)
	failIf(!r.server.saveInBackground(), errSaving)
	w.simple("Background saving started")
}

func cmdShutdown(w *writer, r *request) {
	var save, noSave, now, force, abort bool
	r.options("SAVE", &save, "NOSAVE", &noSave, "NOW", &now, "FORCE", &force, "ABORT", &abort)
	failIf(save && noSave || abort && (save || noSave || now || force), errSyntax)
	failIf(abort, "ERR No shutdown in progress.")
	save = save || !noSave && r.server.config.get("save") != ""
	ends := r.server.shutdown(save) || force && r.server.shutdown(false)
	failIf(!ends, "ERR Errors trying to SHUTDOWN. Check logs.")
	r.closing = true
}

func cmdConfigGet(w *writer, r *request) {
	patterns, found := r.rest(), fields{}
	for _, s := range settings {
		if slices.ContainsFunc(patterns, func(p string) bool { return match(strings.ToLower(p), s.name) }) {
			found = append(found, s.name, r.server.config.get(s.name))
		}
	}
	w.any(found)
}

func cmdConfigSet(r *request) {
	failIf(r.left()%2 != 0, errSyntax)
	values := make(map[string]string)
	for pair := range slices.Chunk(r.rest(), 2) {
		name := strings.ToLower(pair[0])
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		failIf(i < 0, "ERR Unknown option or number of arguments for CONFIG SET - '%s'", pair[0])
		v, wrong := pair[1], "can't set "+settings[i].fixed+" config"
		if _, twice := values[name]; twice {
			wrong = "duplicate parameter"
		} else if settings[i].fixed == "" {
			v, wrong = settings[i].check(v)
		}
		failIf(wrong != "", "ERR CONFIG SET failed (possibly related to argument '%s') - %s", pair[0], wrong)
		values[name] = v
	}
	r.setShared(func() {
		for name, v := range values {
			r.server.config.set(name, v)
		}
	})
	if !r.nested { // within EXEC the store is locked
		r.server.relieve()
	}
}

func cmdConfigResetStat(r *request) {
	s := r.server
	counts := []*atomic.Int64{&s.hits, &s.misses, &s.accepted, &s.refused, &s.store.expired, &s.store.evicted}
	for _, c := range allCommands() {
		counts = append(counts, &c.calls, &c.nanos, &c.fails, &c.turns)
	}
	for _, n := range counts {
		n.Store(0)
	}
}

func cmdHelp(w *writer, r *request) {
	parent := commands[strings.TrimSuffix(r.cmd.name, "|help")]
	name, subs := strings.ToUpper(parent.name), parent.subs
	w.array(1 + 2*len(subs))
	w.simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, c := range subs {
		w.simple(strings.TrimPrefix(c.usage, name+" "))
		w.simple("    " + c.summary)
	}
}

func cmdDebugSleep(r *request) {
	seconds, _ := strtod(r.next())
	time.Sleep(time.Duration(seconds * float64(time.Second)))
}

func cmdDebugReload(r *request) {
	err := r.server.reload()
	failIf(err != nil, "ERR Error trying to load the RDB dump: %v", err)
}

// logSlow enters the command, its arguments cut where they are many or long, at the top of the slow log.
func (r *request) logSlow(took int64) {
	const mostArgs, mostBytes = 32, 128
	s, args := r.server, slices.Clone(r.words)
	if n := len(args) - mostArgs; n > 0 {
		args = append(args[:mostArgs-1], fmt.Sprintf("... (%d more arguments)", n+1))
	}
	for i, word := range args {
		if n := len(word) - mostBytes; n > 0 {
			args[i] = fmt.Sprintf("%s... (%d more bytes)", word[:mostBytes], n)
		}
	}
	entry := []any{s.slowIDs.Add(1) - 1, r.now / 1000, took, args, r.RemoteAddr().String(), r.name}
	s.slowlog = slices.Insert(s.slowlog, 0, any(entry))
	s.slowlog = s.slowlog[:min(len(s.slowlog), int(s.config.int("slowlog-max-len")))]
}

func cmdSlowlogReset(r *request)          { r.setShared(func() { r.server.slowlog = nil }) }
func cmdSlowlogLen(w *writer, r *request) { r.setShared(func() { w.int(len(r.server.slowlog)) }) }
func cmdSlowlogGet(w *writer, r *request) {
	count := 10
	if failIf(r.left() > 1, errTryHelp, r.words[1], strings.ToUpper(r.words[0])); r.more() {
		count = r.atLeast(-1, "ERR count should be greater than or equal to -1")
	}
	r.setShared(func() { w.any(r.server.slowlog[:min(uint(count), uint(len(r.server.slowlog)))]) }) // -1: all
}

func cmdInfo(w *writer, r *request) {
	asked, text := strings.Fields(strings.ToLower(strings.Join(r.rest(), " "))), ""
	asksFor := func(name string) bool { return slices.Contains(asked, strings.ToLower(name)) }
	for section := range slices.Chunk(r.info(), 2) {
		name := section[0].(string)
		usual := (len(asked) == 0 || asksFor("default")) && name != "Commandstats"
		if usual || asksFor("all") || asksFor("everything") || asksFor(name) {
			text += either(text == "", "", "\r\n") + "# " + name + "\r\n"
			for fact := range slices.Chunk(section[1].(fields), 2) {
				text += fmt.Sprintf("%s:%v\r\n", fact[0], fact[1])
			}
		}
	}
	w.verbatim(text)
}

// info returns the sections of INFO, the last of them for those who ask for it.
func (r *request) info() fields {
	s, saves := r.server, &r.server.saver
	began, blocked, calls := saves.background.Load(), 0, int64(0)
	var keyspace, stats fields
	for _, d := range r.store.dbs {
		if d.keys.n > 0 {
			keyspace = append(keyspace, fmt.Sprintf("db%d", d.id),
				fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", d.keys.n, d.mortal.n, d.ttl))
		}
	}
	for _, c := range allCommands() {
		n, usec, turns, fails := c.calls.Load(), c.nanos.Load()/1000, c.turns.Load(), c.fails.Load()
		if calls += n; n+turns > 0 {
			stats = append(stats, "cmdstat_"+c.name, fmt.Sprintf(
				"calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
				n, usec, float64(usec)/float64(max(n, 1)), turns, fails))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		blocked += oneIf(c.blocked.Load())
	}
	_, heap, _, held := memory()
	return fields{
		"Server", fields{"redis_version", redisVersion, "redis_lite_version", liteVersion, "redis_mode",
			"standalone", "os", runtime.GOOS, "arch_bits", strconv.IntSize, "go_version", runtime.Version(),
			"process_id", os.Getpid(), "run_id", fmt.Sprintf("%040x", s.started.UnixNano()),
			"tcp_port", s.listener.Addr().(*net.TCPAddr).Port, "hz", int64(time.Second / samplerPause),
			"uptime_in_seconds", int64(time.Since(s.started).Seconds())},
		"Clients", fields{"connected_clients", len(s.clients), "maxclients", s.config.get("maxclients"),
			"blocked_clients", blocked, "tracking_clients", s.interested[trackers].Load()},
		"Memory", fields{"used_memory", heap,
			"used_memory_human", fmt.Sprintf("%.2fM", float64(heap)/(1<<20)), "used_memory_rss", held,
			"maxmemory", s.config.get("maxmemory"), "maxmemory_policy", s.config.get("maxmemory-policy")},
		"Persistence", fields{"loading", 0, "rdb_changes_since_last_save", r.store.changes.Load(),
			"aof_enabled", 0, "rdb_bgsave_in_progress", oneIf(began != 0),
			"rdb_last_save_time", saves.last.Load(),
			"rdb_last_bgsave_status", either(saves.failing.Load(), "err", "ok"),
			"rdb_current_bgsave_time_sec", either(began != 0, time.Now().Unix()-began, -1),
			"rdb_saves", saves.saves.Load()},
		"Stats", fields{"total_connections_received", s.accepted.Load(), "total_commands_processed", calls,
			"rejected_connections", s.refused.Load(), "expired_keys", s.store.expired.Load(),
			"evicted_keys", s.store.evicted.Load(), "keyspace_hits", s.hits.Load(),
			"keyspace_misses", s.misses.Load(), "tracking_total_keys", len(s.topics[tracked]),
			"tracking_total_items", s.interested[tracked].Load(),
			"tracking_total_prefixes", len(s.topics[prefixes])},
		"Replication", fields{"role", "master", "connected_slaves", 0, "master_repl_offset", 0},
		"Cluster", fields{"cluster_enabled", 0},
		"Keyspace", keyspace, "Commandstats", stats,
	}
}

// allCommands returns the commands in the order of their names, each before its subcommands.
func allCommands() (list []*command) {
	for _, c := range root.subs {
		list = append(append(list, c), c.subs...)
	}
	return list
}

// --- COMMAND -----------------------------------------------------------------

func cmdCommandCount(w *writer, r *request) { w.int(len(root.subs)) }
func cmdCommandInfo(w *writer, r *request)  { w.any(commandInfo(r.selected())) }
func cmdCommandDocs(w *writer, r *request)  { w.any(commandDocs(r.selected())) }

// selected returns the commands that arguments like config|set name, nil for each that there is not, or all.
func (r *request) selected() (list []*command) {
	if !r.more() {
		return root.subs
	}
	for _, name := range r.rest() {
		list = append(list, commands[strings.ToLower(name)])
	}
	return list
}

// commandInfo is what COMMAND INFO says of commands, null of each that there is not.
func commandInfo(list []*command) []any {
	infos := make([]any, len(list))
	for i, c := range list {
		if c == nil {
			continue
		}
		var flags names
		for bit, name := range flagNames {
			if c.flags&(1<<bit) != 0 {
				flags = append(flags, name)
			}
		}
		infos[i] = []any{c.name, c.arity, flags, c.keys.first, c.keys.last, c.keys.step, c.categories(),
			names{}, names{}, either[any](c.subs != nil, commandInfo(c.subs), names{})}
	}
	return infos
}

// categories returns the ACL categories, which follow from group and flags.
func (c *command) categories() names {
	group := "@" + strings.TrimSuffix(strings.ReplaceAll(c.group.name, "-", ""), "s") // as in transactions
	return chosen("@keyspace", group == "@generic", "@read", c.flags&readonly != 0,
		"@write", c.flags&write != 0, group, group != "@generic" && group != "@server",
		"@admin", c.flags&admin != 0, "@dangerous", c.flags&admin != 0, "@blocking", c.flags&blocking != 0,
		"@fast", c.flags&fast != 0, "@slow", c.flags&fast == 0)
}

func cmdCommandList(w *writer, r *request) {
	kind, word, found := "", "", []string{}
	r.options("FILTERBY", func() {
		kind, word = r.option(), strings.ToLower(r.next())
		failIf(r.more() || !slices.Contains([]string{"MODULE", "ACLCAT", "PATTERN"}, kind), errSyntax)
	})
	for _, c := range allCommands() {
		if kind == "" || kind == "PATTERN" && match(word, c.name) ||
			kind == "ACLCAT" && slices.Contains(c.categories(), "@"+word) { // there are no modules
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
	found := c.keys.appendTo(nil, words)
	failIf(found == nil, "ERR Invalid arguments specified for command")
	w.bulks(found)
}

// commandDocs is what COMMAND DOCS says of commands. redis-cli makes its hints of it, term by term.
func commandDocs(list []*command) (docs fields) {
	for _, c := range list {
		if c == nil {
			continue
		}
		doc, args := fields{"summary", c.summary, "group", c.group.name}, []any{}
		for _, term := range c.terms {
			inner, optional := strings.CutPrefix(term, "[")
			arg := fields{"name", strings.TrimSuffix(inner, "]"),
				"type", either(slices.Contains(keyNames, inner), "key", "string"), "flags", names{"optional"}}
			args = append(args, arg[:either(optional, 6, 4)])
		}
		if len(args) > 0 {
			doc = append(doc, "arguments", args)
		}
		if c.subs != nil {
			doc = append(doc, "subcommands", commandDocs(c.subs))
		}
		docs = append(docs, c.name, doc)
	}
	return docs
}
