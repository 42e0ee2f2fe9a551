package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// How to read this file: tables of what comes over the wire, whole, broken and
// wrong, with what Redis 7.0.15 made of it; then the writer and numbers; then a
// server that is treated badly; then fuzz targets and benchmarks.

// --- helpers -----------------------------------------------------------------

// encode writes a command as programs send it.
func encode(words ...string) string {
	var w writer
	w.bulks(words)
	return string(w.buf)
}

// xs is a text of n bytes.
func xs(n int) string { return strings.Repeat("x", n) }

// readCommands reads commands until something ends that.
func readCommands(src io.Reader) (list [][]string, err error) {
	r := newReader(src)
	for {
		batch, err := r.commands()
		if err != nil {
			return list, err
		}
		for _, words := range batch {
			list = append(list, slices.Clone(words))
		}
	}
}

// A wire is the socket of a client that sends what it has, reads what it gets,
// and needs no network.
type wire struct {
	net.Conn
	io.Reader
	got bytes.Buffer
}

func (c *wire) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c *wire) Write(p []byte) (int, error)      { return c.got.Write(p) }
func (c *wire) Close() error                     { return nil }
func (c *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *wire) SetWriteDeadline(time.Time) error { return nil }

// replies returns all that a new server answers to what src sends.
func replies(src io.Reader, password string) string {
	s := newServer()
	s.config.set("requirepass", password)
	c := &wire{Reader: src}
	s.admit(c)
	s.running.Wait()
	return c.got.String()
}

// inPieces breaks what is sent into pieces of random length.
type inPieces struct {
	src  io.Reader
	rand *rand.Rand
}

func (p inPieces) Read(b []byte) (int, error) {
	return p.src.Read(b[:min(len(b), 1+p.rand.IntN(1<<p.rand.IntN(10)))])
}

func pieces(s string, seed uint64) io.Reader {
	return inPieces{strings.NewReader(s), rand.New(rand.NewPCG(seed, 0))}
}

// brokenAt is s in two pieces.
func brokenAt(s string, i int) io.Reader {
	return io.MultiReader(strings.NewReader(s[:i]), strings.NewReader(s[i:]))
}

// short cuts what is too long to be shown.
func short(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%.100q... (%d bytes)", s, len(s))
	}
	return fmt.Sprintf("%q", s)
}

// --- commands ----------------------------------------------------------------

// What clients send, and the commands in it. All of it ends well: with the end of
// the input.
var commandTable = []struct {
	in   string
	want [][]string
}{
	{"*1\r\n$4\r\nping\r\n", [][]string{{"ping"}}},
	{"*2\r\n$4\r\necho\r\n$11\r\nhello world\r\n", [][]string{{"echo", "hello world"}}},
	{"*2\r\n$3\r\nget\r\n$3\r\nkey\r\n", [][]string{{"get", "key"}}},
	{"*1\r\n$0\r\n\r\n", [][]string{{""}}},
	{"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\x00\xff\r\n", [][]string{{"GET", "\r\n\x00\xff"}}},
	{"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n", [][]string{{"PING"}, {"PING"}, {"PING"}}},
	{encode("SET", "k", xs(bufferSize-2)), [][]string{{"SET", "k", xs(bufferSize - 2)}}},
	{encode("SET", "k", xs(bufferSize-1)), [][]string{{"SET", "k", xs(bufferSize - 1)}}},
	{encode("SET", "k", xs(300<<10), "y"), [][]string{{"SET", "k", xs(300 << 10), "y"}}},
	{encode(strings.Split(xs(3000), "")...), [][]string{strings.Split(xs(3000), "")}},

	// Commands without words are passed over.
	{"\r\nPING\r\n", [][]string{{"PING"}}},
	{" \t \r\n\nPING\r\n", [][]string{{"PING"}}},
	{"*0\r\n*-1\r\n*-9223372036854775808\r\nPING\r\n", [][]string{{"PING"}}},

	// Redis looks for CR alone, and does not look at what stands in the place of
	// LF, nor at the end of a bulk string.
	{"*1\rX$4\rXPINGXX", [][]string{{"PING"}}},

	// Typed by hand.
	{"PING\n", [][]string{{"PING"}}},
	{"  SET\tName  John \r\n", [][]string{{"SET", "Name", "John"}}},
	{"PING\r\r\n", [][]string{{"PING"}}},
	{`PING "a\x41\n\r\t\b\a\q\\\"" x` + "\r\n", [][]string{{"PING", "aA\n\r\t\b\aq\\\"", "x"}}},
	{`PING 'a\'b\n"' ""` + "\r\n", [][]string{{"PING", `a'b\n"`, ""}}},
	{`PING a"b c" \x41 "\x4" "\xZZ" "\x+4"` + "\r\n",
		[][]string{{"PING", "ab c", `\x41`, "x4", "xZZ", "x+4"}}},
	{`""` + "\r\n", [][]string{{""}}},
	{"PING " + xs(lineMax-6) + "\r\n", [][]string{{"PING", xs(lineMax - 6)}}},
}

func TestCommand(t *testing.T) {
	for _, test := range commandTable {
		got, err := readCommands(strings.NewReader(test.in))
		if err != io.EOF || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s gives %s, %v", short(test.in), short(fmt.Sprint(got)), err)
		}
	}
}

// However the network breaks a message, it is the same message.
func TestCommandInPieces(t *testing.T) {
	for _, test := range commandTable {
		check := func(how string, src io.Reader) {
			got, err := readCommands(src)
			if err != io.EOF || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s %s gives %s, %v", short(test.in), how, short(fmt.Sprint(got)), err)
			}
		}
		check("byte by byte", iotest.OneByteReader(strings.NewReader(test.in)))
		check("in halves", iotest.HalfReader(strings.NewReader(test.in)))
		check("with EOF beside the last bytes", iotest.DataErrReader(strings.NewReader(test.in)))
		for i := range min(len(test.in), 60) {
			check(fmt.Sprint("broken at ", i), brokenAt(test.in, i))
		}
	}
}

// A message that ends too early is no message, wherever it ends.
func TestCommandTruncated(t *testing.T) {
	long := xs(2 * bufferSize)
	for _, whole := range []string{encode("SET", "k", "v"), "SET k 'v'\r\n", encode("SET", "k", long)} {
		for i := range whole {
			got, err := readCommands(strings.NewReader(whole[:i]))
			if len(got) > 0 || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s gives %q, %v", short(whole[:i]), got, err)
			}
		}
	}
}

func TestCommandPassesErrorsOn(t *testing.T) {
	broken := errors.New("the cable was pulled")
	for _, begun := range []string{"", "*", "*1\r\n", "*1\r\n$4\r\nPI", "*1\r\n$9999\r\nPI", "PI"} {
		_, err := readCommands(io.MultiReader(strings.NewReader(begun), iotest.ErrReader(broken)))
		if err != broken {
			t.Errorf("%q: %v", begun, err)
		}
	}
}

// What breaks the protocol, and all that Redis 7.0.15 answers. A connection that
// goes on answers the PING at the end; one that was closed does not.
var breachTable = []struct{ in, want string }{
	{"*\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*a\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"* 1\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*+1\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*01\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1\n$4\nPING\n*\r\n", "-ERR Protocol error: invalid multibulk length\r\n"}, // LF alone ends nothing
	{"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*99999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*-9223372036854775809\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*" + strings.Repeat("0", 5000) + "1\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*" + strings.Repeat("1", lineMax), "-ERR Protocol error: too big mbulk count string\r\n"},

	{"*1\r\nx\r\n", "-ERR Protocol error: expected '$', got 'x'\r\n"},
	{"*1\r\n4\r\n", "-ERR Protocol error: expected '$', got '4'\r\n"},
	{"*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
	{"*1\r\n\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
	{"*1\r\n:4\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"},
	{"*1\r\n*1\r\n$4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '*'\r\n"},
	{"*1\r\n\xff\r\n", "-ERR Protocol error: expected '$', got '\xff'\r\n"},
	{"*2\r\n$4\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"}, // the PING at the end
	{"*1\r\n$3\r\nPING\r\n", "-ERR unknown command 'PIN', with args beginning with: \r\n+PONG\r\n"},

	{"*1\r\n$\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$a\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$+4\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$04\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$4 \r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$99999999999999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$" + strings.Repeat("1", lineMax), "-ERR Protocol error: too big bulk count string\r\n"},
	{"*1\r\n" + xs(lineMax+1), "-ERR Protocol error: too big bulk count string\r\n"},

	{"\"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"'\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING \"a\"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING 'a'b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING \"\\\"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{xs(lineMax + 1), "-ERR Protocol error: too big inline request\r\n"},

	// What came before is answered.
	{"PING\r\n*1\r\n$x\r\n", "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"},
	{"QUIT\r\n", "+OK\r\n"},
	{"QUIT now please\r\n", "+OK\r\n"},
	{"POST / HTTP/1.1\r\n", ""},                      // a browser, sent by a web page
	{"*2\r\n$5\r\nhost:\r\n$9\r\nlocalhost\r\n", ""}, // so, too
	// Typed by hand, it seems.
	{"$4\r\n", "-ERR unknown command '$4', with args beginning with: \r\n+PONG\r\n"},
	{"*1\r\n$6\r\nno\r\nus\r\n", "-ERR unknown command 'no  us', with args beginning with: \r\n+PONG\r\n"},
}

func TestProtocolErrors(t *testing.T) {
	for _, test := range breachTable {
		in := test.in + "PING\r\n"
		if got := replies(strings.NewReader(in), ""); got != test.want {
			t.Errorf("%s is answered %s", short(test.in), short(got))
		}
		if len(in) < 1000 {
			if got := replies(iotest.OneByteReader(strings.NewReader(in)), ""); got != test.want {
				t.Errorf("%s byte by byte is answered %s", short(test.in), short(got))
			}
		}
	}
}

// Who has not given the password can neither do nor send much.
func TestGuest(t *testing.T) {
	const noAuth = "-NOAUTH Authentication required.\r\n"
	for _, test := range []struct{ in, want string }{
		{"GET k\r\n", noAuth + noAuth},
		{"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n" + noAuth},
		{"AUTH no\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n" + noAuth},
		{"AUTH pw\r\n", "+OK\r\n+PONG\r\n"},
		{"AUTH pw\r\nRESET\r\n", "+OK\r\n+RESET\r\n" + noAuth},
		{"*10\r\n" + strings.Repeat("$1\r\na\r\n", 10),
			"-ERR unknown command 'a', with args beginning with: 'a' 'a' 'a' 'a' 'a' 'a' 'a' 'a' 'a' \r\n" + noAuth},
		{"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*2\r\n$4\r\nPING\r\n$16384\r\n" + xs(16384) + "\r\n",
			noAuth + noAuth},
		{"*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		{"AUTH pw\r\n" + encode("PING", xs(16385)),
			"+OK\r\n$16385\r\n" + xs(16385) + "\r\n+PONG\r\n"},
	} {
		if got := replies(strings.NewReader(test.in+"PING\r\n"), "pw"); got != test.want {
			t.Errorf("%s is answered %s", short(test.in), short(got))
		}
	}
}

// steady names commands whose replies depend on nothing but the commands before.
var steady = strings.Fields("append decr del discard echo exec exists get getdel getrange incr incrby " +
	"incrbyfloat llen lpop lpush lrange multi ping quit rpush select setnx strlen type unwatch watch")

// randomCommands returns n commands of which most make sense.
func randomCommands(rnd *rand.Rand, n int) (list [][]string) {
	key := func() string { return string(rune('a' + rnd.IntN(8))) }
	text := func() string {
		b := make([]byte, rnd.IntN(1<<rnd.IntN(12)))
		for i := range b {
			b[i] = byte(rnd.IntN(256))
		}
		return string(b)
	}
	for range n {
		list = append(list, [][]string{
			{"SET", key(), text()}, {"GET", key()}, {"append", key(), text()}, {"INCR", key()},
			{"del", key(), key()},
			{"RPUSH", key(), text(), text()}, {"LRANGE", key(), "0", "3"}, {"LPOP", key()}, {"type", key()},
			{"MULTI"}, {"EXEC"}, {"nosuch", text()}, {"PING"}, {text()}, {"incrbyfloat", key(), "0.1"},
		}[rnd.IntN(15)])
	}
	return list
}

func TestRandomCommandsInRandomPieces(t *testing.T) {
	const seed = 7
	list := randomCommands(rand.New(rand.NewPCG(seed, seed)), 10_000)
	var b strings.Builder
	for _, words := range list {
		b.WriteString(encode(words...))
	}
	stream := b.String()
	want := replies(strings.NewReader(stream), "")
	if len(want) < 100_000 {
		t.Fatalf("only %d bytes of replies", len(want))
	}
	for seed := range uint64(2) {
		if got, err := readCommands(pieces(stream, seed)); err != io.EOF || !reflect.DeepEqual(got, list) {
			t.Errorf("pieces %d read differently, %v", seed, err)
		}
		if replies(pieces(stream, seed), "") != want {
			t.Errorf("pieces %d are answered differently", seed)
		}
	}
}

// A length is only an announcement: memory is taken for what has arrived.
func TestAnnouncementsTakeNoMemory(t *testing.T) {
	const most = 256 << 10
	read := func(name, in string, f func(r *reader) error) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := f(newReader(strings.NewReader(in)))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s %q took %d bytes", name, in, took)
		}
		if err == nil {
			t.Errorf("%s %q is complete", name, in)
		}
	}
	for _, in := range []string{"*2147483647\r\n", "*1\r\n$536870912\r\n",
		"*2147483647\r\n$1\r\na\r\n$536870912\r\nx"} {
		read("command", in, func(r *reader) error { _, err := r.commands(); return err })
	}
	for _, in := range []string{"$536870912\r\nx", "!536870912\r\n", "=536870912\r\n", "*536870912\r\n",
		"~536870912\r\n:1\r\n", ">536870912\r\n", "%536870912\r\n+k\r\n",
		strings.Repeat("*536870912\r\n", 20)} {
		read("value", in, func(r *reader) error { _, err := r.value(); return err })
		read("message", in, func(r *reader) error { _, err := r.message(); return err })
	}
}

// What was read stays as it is when the next is read.
func TestCommandsDoNotShareMemory(t *testing.T) {
	r := newReader(strings.NewReader(encode("SET", "k", "first") + encode("GET", "x", "other")))
	batch, _ := r.commands()
	first := batch[0][2]
	r.commands()
	if first != "first" {
		t.Errorf("the first command now holds %q", first)
	}
}

// The array of a huge command is not kept for the small ones that follow.
func TestHugeCommandIsNotKept(t *testing.T) {
	r := newReader(strings.NewReader(encode(make([]string, 100*argsKept)...) + "PING\r\n"))
	r.commands()
	if _, err := r.commands(); err != io.EOF || cap(r.args) > argsKept {
		t.Errorf("there is room for %d arguments, %v", cap(r.args), err)
	}
}

// --- replies -----------------------------------------------------------------

var valueTable = []struct {
	in   string
	want value
}{
	{"+OK\r\n", value{kind: '+', text: "OK"}},
	{"+hello world\r\n", value{kind: '+', text: "hello world"}},
	{"+\r\n", value{kind: '+'}},
	{"-Error message\r\n", value{kind: '-', text: "Error message"}},
	{":-42\r\n", value{kind: ':', text: "-42"}},
	{":0\r\n", value{kind: ':', text: "0"}},
	{"$-1\r\n", value{kind: '$', null: true}},
	{"$0\r\n\r\n", value{kind: '$'}},
	{"$4\r\na\r\nb\r\n", value{kind: '$', text: "a\r\nb"}},
	{"*-1\r\n", value{kind: '*', null: true}},
	{"*0\r\n", value{kind: '*'}},
	{"*2\r\n:1\r\n*1\r\n$-1\r\n", value{kind: '*', list: []value{
		{kind: ':', text: "1"}, {kind: '*', list: []value{{kind: '$', null: true}}}}}},
	{"_\r\n", value{kind: '_'}},
	{"#t\r\n", value{kind: '#', text: "t"}},
	{"#f\r\n", value{kind: '#', text: "f"}},
	{",3.25\r\n", value{kind: ',', text: "3.25"}},
	{",-inf\r\n", value{kind: ',', text: "-inf"}},
	{",nan\r\n", value{kind: ',', text: "nan"}},
	{"(-3492890328409238509324850943850943825024385\r\n",
		value{kind: '(', text: "-3492890328409238509324850943850943825024385"}},
	{"!3\r\nERR\r\n", value{kind: '!', text: "ERR"}},
	{"=7\r\ntxt:abc\r\n", value{kind: '=', text: "txt:abc"}},
	{"%1\r\n+k\r\n#t\r\n", value{kind: '%', list: []value{{kind: '+', text: "k"}, {kind: '#', text: "t"}}}},
	{"~1\r\n_\r\n", value{kind: '~', list: []value{{kind: '_'}}}},
	{">1\r\n$1\r\na\r\n", value{kind: '>', list: []value{{kind: '$', text: "a"}}}},
}

// Every value is read, whole and broken; written again it is what it was; and
// anything less is an error.
func TestValue(t *testing.T) {
	for _, test := range valueTable {
		for i := range test.in {
			got, err := newReader(brokenAt(test.in, i)).value()
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%q broken at %d gives %+v, %v", test.in, i, got, err)
			}
			if got, err := newReader(strings.NewReader(test.in[:i])).value(); err == nil {
				t.Errorf("%q gives %+v", test.in[:i], got)
			}
		}
		var w writer
		if w.value(test.want); string(w.buf) != test.in {
			t.Errorf("%q is written as %q", test.in, w.buf)
		}
	}
}

func TestValueMalformed(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"\r\n", "line without type or CR LF"},
		{"\n", "line without type or CR LF"},
		{"+OK\n", "line without type or CR LF"},
		{"x\r\n", "unknown type 'x'"},
		{"OK\r\n", "unknown type 'O'"},
		{":\r\n", `invalid ":"`},
		{":1.5\r\n", `invalid ":1.5"`},
		{":9223372036854775808\r\n", `invalid ":9223372036854775808"`},
		{"#\r\n", `invalid "#"`},
		{"#true\r\n", `invalid "#true"`},
		{"_x\r\n", `invalid "_x"`},
		{",\r\n", `invalid ","`},
		{",1,5\r\n", `invalid ",1,5"`},
		{"(1.5\r\n", `invalid "(1.5"`},
		{"$\r\n", `invalid length ""`},
		{"$x\r\n", `invalid length "x"`},
		{"$-2\r\n", `invalid length "-2"`},
		{"$+1\r\n", `invalid length "+1"`},
		{"$536870913\r\n", `invalid length "536870913"`},
		{"*-2\r\n", `invalid length "-2"`},
		{"*99999999999999999999\r\n", `invalid length "99999999999999999999"`},
		{"%-1\r\n", `invalid length "-1"`},
		{"!-1\r\n", `invalid length "-1"`},
		{"*2\r\n:1\r\nx\r\n", "unknown type 'x'"},
		{"+" + xs(lineMax), "too big line"},
	} {
		if got, err := newReader(strings.NewReader(test.in)).value(); err != protocolError(test.want) {
			t.Errorf("%s gives %+v, %v", short(test.in), got, err)
		}
	}
}

func TestValueDepth(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("*1\r\n", n) + ":1\r\n" }
	if _, err := newReader(strings.NewReader(nested(valueDepth))).value(); err != nil {
		t.Error(err)
	}
	if _, err := newReader(strings.NewReader(nested(valueDepth + 1))).value(); err != protocolError("nested too deep") {
		t.Error(err)
	}
}

// What a client reads as one value is one message for the player, whole and broken, and no more than it.
func TestMessage(t *testing.T) {
	for _, test := range valueTable {
		for i := range test.in {
			r := newReader(brokenAt(test.in+"+more\r\n", i))
			if got, err := r.message(); err != nil || got != test.in {
				t.Errorf("%q broken at %d gives %q, %v", test.in, i, got, err)
			}
			if next, err := r.message(); err != nil || next != "+more\r\n" {
				t.Errorf("%q broken at %d is followed by %q, %v", test.in, i, next, err)
			}
			if got, err := newReader(strings.NewReader(test.in[:i])).message(); err == nil {
				t.Errorf("%q gives %q", test.in[:i], got)
			}
		}
	}
	if _, err := newReader(strings.NewReader("+" + xs(lineMax))).message(); err != bufio.ErrBufferFull {
		t.Error(err)
	}
}

// --- writing -----------------------------------------------------------------

func TestWriter(t *testing.T) {
	text := "a"
	for _, test := range []struct {
		name         string
		write        func(w *writer)
		resp2, resp3 string // "" when it is the same
	}{
		{"ok", func(w *writer) { w.ok() }, "+OK\r\n", ""},
		{"simple", func(w *writer) { w.simple("PONG") }, "+PONG\r\n", ""},
		{"err", func(w *writer) { w.err("ERR oops") }, "-ERR oops\r\n", ""},
		{"err of two lines", func(w *writer) { w.err("ERR a\r\n+b\n") }, "-ERR a  +b \r\n", ""},
		{"int", func(w *writer) { w.int(-7) }, ":-7\r\n", ""},
		{"int64", func(w *writer) { w.int64(math.MinInt64) }, ":-9223372036854775808\r\n", ""},
		{"bulk", func(w *writer) { w.bulk("a\r\nb") }, "$4\r\na\r\nb\r\n", ""},
		{"empty bulk", func(w *writer) { w.bulk("") }, "$0\r\n\r\n", ""},
		{"bulks", func(w *writer) { w.bulks([]string{"a", ""}) }, "*2\r\n$1\r\na\r\n$0\r\n\r\n", ""},
		{"array", func(w *writer) { w.array(3) }, "*3\r\n", ""},
		{"maybe", func(w *writer) { w.maybe(&text) }, "$1\r\na\r\n", ""},
		{"maybe not", func(w *writer) { w.maybe(nil) }, "$-1\r\n", "_\r\n"},
		{"null", func(w *writer) { w.null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *writer) { w.nullArray() }, "*-1\r\n", "_\r\n"},
		{"map", func(w *writer) { w.mapOf(3) }, "*6\r\n", "%3\r\n"},
		{"set", func(w *writer) { w.set(3) }, "*3\r\n", "~3\r\n"},
		{"push", func(w *writer) { w.push(3) }, "*3\r\n", ">3\r\n"},
		{"pairs", func(w *writer) { w.rows(1, true); w.row(true) }, "*2\r\n", "*1\r\n*2\r\n"},
		{"columns", func(w *writer) { w.begin('%', 1, 1); w.column() }, "*1\r\n*2\r\n", "%1\r\n"},
		{"double", func(w *writer) { w.double(0.5) }, "$3\r\n0.5\r\n", ",0.5\r\n"},
		{"infinity", func(w *writer) { w.double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"verbatim", func(w *writer) { w.verbatim("a\nb") }, "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n"},
	} {
		two, three := writer{}, writer{resp3: true}
		test.write(&two)
		test.write(&three)
		if test.resp3 == "" {
			test.resp3 = test.resp2
		}
		if string(two.buf) != test.resp2 || string(three.buf) != test.resp3 {
			t.Errorf("%s: %q in RESP2, %q in RESP3", test.name, two.buf, three.buf)
		}
	}
}

// --- numbers -----------------------------------------------------------------

func TestParseInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 10, 42, -100, 1e18, math.MaxInt32 + 1, math.MaxInt64, math.MinInt64} {
		if got, ok := parseInt(fmt.Sprint(n)); got != n || !ok {
			t.Errorf("%d is read as %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "+", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1\x00", "1.0", "1e3",
		"0x1", "--1", "a", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
		"18446744073709551617",
		"99999999999999999999", "10000000000000000000000", "/", ":", "١"} {
		if got, ok := parseInt(s); ok {
			t.Errorf("%q is read as %d", s, got)
		}
	}
}

// What C prints with %.17g.
func TestFormatDouble(t *testing.T) {
	for _, test := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "-0"}, {3, "3"}, {-3, "-3"}, {100, "100"}, {0.5, "0.5"},
		{1 << 53, "9007199254740992"},
		{0.1, "0.10000000000000001"}, {1.1, "1.1000000000000001"}, {3.14, "3.1400000000000001"},
		{1e-4, "0.0001"}, {1e-5, "1.0000000000000001e-05"}, {math.Pi, "3.1415926535897931"},
		{1e15, "1000000000000000"}, {1e16, "10000000000000000"}, {1e17, "1e+17"}, {1e21, "1e+21"},
		{123456789012345678, "1.2345678901234568e+17"}, {1.5e300, "1.5000000000000001e+300"},
		{5e-324, "4.9406564584124654e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{math.Inf(1), "inf"}, {math.Inf(-1), "-inf"},
	} {
		if got := formatDouble(test.f); got != test.want {
			t.Errorf("%v is printed as %s, not as %s", test.f, got, test.want)
		}
	}
}

// What Redis 7.0.15 made of it on x86-64.
func TestIncrByFloat(t *testing.T) {
	const notFloat, nan = string(errNotFloat), string("ERR increment would produce NaN or Infinity")
	for _, test := range []struct{ old, by, want string }{
		{"0", "3e5", "300000"},
		{"0", "1e-5", "0.00001"},
		{"10.50", "0.1", "10.6"},
		{"5.0e3", "200", "5200"},
		{"3.0", "1.000000000000000000", "4"},
		{"0.1", "0.2", "0.3"},
		{"1", "-0.9", "0.1"},
		{"-0", "-0", "0"},
		{"-0.1", "0.1", "0"},
		{"0", "+5", "5"},
		{"0", ".5", "0.5"},
		{"0", "5.", "5"},
		{"0", "0010", "10"},
		{"0", "0x1F", "31"},
		{"0", "0X1.8p3", "12"},
		{"0", "-0x.8", "-0.5"},
		{"0", "1e17", "100000000000000000"},
		{"0", "1e-17", "0.00000000000000001"},
		{"0", "5e-18", "0"},
		{"0", "5.0000001e-18", "0.00000000000000001"},
		{"0", "2.5e-17", "0.00000000000000002"},
		{"0", "1e22", "10000000000000000000000"},
		{"0", "12345678901234567890123456789", "12345678901234567890421678080"},
		{"0", "0.12345678901234567890123456789", "0.12345678901234568"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{"18446744073709551615", "1", "18446744073709551616"},
		{"18446744073709551616", "1", "18446744073709551616"},
		{"0", "0e99999999999", "0"},
		{"0", "-1e-30", "0"},
		{"0", strings.Repeat("0", 5118) + "1", "1"},
		{"1e4000", "-1e4000", "0"},
		{"0", "inf", nan},
		{"0", "-Infinity", nan},
		{"+INF", "-inf", nan},
		{"1.1e4932", "1.1e4932", nan},
		{"0", "", notFloat},
		{"", "1", notFloat},
		{"0", " 1", notFloat},
		{"0", "1 ", notFloat},
		{"0", "1\n", notFloat},
		{"0", "1\x00", notFloat},
		{"0", ".", notFloat},
		{"0", "-", notFloat},
		{"0", "+-5", notFloat},
		{"0", "1e", notFloat},
		{"0", "e5", notFloat},
		{"0", "1,5", notFloat},
		{"0", "1_0", notFloat},
		{"0", "0b1", notFloat},
		{"0", "0o7", notFloat},
		{"0", "0x", notFloat},
		{"0", "0x_1", notFloat},
		{"0", "1p5", notFloat},
		{"0", "nan", notFloat},
		{"0", "infinit", notFloat},
		{"0", "abc", notFloat},
		{"0", "1e4933", notFloat},
		{"0", "1e-5000", notFloat},
		{"0", "1e600000000", notFloat}, // would be 600 MB of text
		{"0", "1e99999999999999999999", notFloat},
		{"0", strings.Repeat("0", 5119) + "1", notFloat},
	} {
		var want writer
		want.ok()
		if strings.HasPrefix(test.want, "ERR") {
			want.err(test.want)
		} else {
			want.bulk(test.want)
		}
		in := encode("SET", "k", test.old) + encode("INCRBYFLOAT", "k", test.by)
		if got := replies(strings.NewReader(in), ""); got != string(want.buf) {
			t.Errorf("%s + %s is answered %q, not %q", short(test.old), short(test.by), got, want.buf)
		}
	}
}

// --- a server that is treated badly ------------------------------------------

// A client is the other end of a connection.
type client struct {
	*net.TCPConn
	t testing.TB
}

func connect(t testing.TB, s *server) client {
	t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second)) // a test that hangs is to fail
	return client{c.(*net.TCPConn), t}
}

func (c client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// gets checks what comes next.
func (c client) gets(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got %s, %v, not %s", short(string(got[:n])), err, short(want))
	}
}

// ends checks that the server closes the connection in a friendly way, and
// sends nothing more.
func (c client) ends() {
	c.t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		c.t.Fatalf("at the end got %s, %v", short(string(rest)), err)
	}
}

// waitFor waits until get returns n.
func waitFor(t *testing.T, what string, get func() int, n int) {
	t.Helper()
	for range 10_000 {
		if get() == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: %d, not %d", what, get(), n)
}

func waitForClients(t *testing.T, s *server, n int) {
	t.Helper()
	waitFor(t, "clients", func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.clients)
	}, n)
}

func TestServerEndsBrokenConversations(t *testing.T) {
	s := testServer(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		garbage := make([]byte, rnd.IntN(20_000))
		for i := range garbage {
			garbage[i] = byte(rnd.IntN(256))
		}
		c := connect(t, s)
		c.Write(garbage) // the server may hang up on it
		c.Close()
	}
	halves := []string{"", "*", "*2\r\n$3\r\nGET\r\n", encode("SET", "k", xs(9999))[:5000], "GET"}
	for _, half := range halves {
		c := connect(t, s)
		c.send(half)
		c.Close()
	}
	waitForClients(t, s, 0)
	c := connect(t, s)
	c.send("DBSIZE\r\nPING\r\n")
	c.gets(":0\r\n+PONG\r\n")
}

// Who speaks first is heard first, also when the server hears both at once. Now
// and then a system call takes so long that it does not, which proves nothing.
func TestFirstIsHeardFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that nobody listens until we wait
	s := testServer(t)
	first, second := connect(t, s), connect(t, s)
	const rounds = 100
	inOrder := 0
	for i := range rounds {
		key := strconv.Itoa(i)
		first.send(encode("SETNX", key, "first"))
		second.send(encode("SETNX", key, "second"))
		first.gets(":")
		answer := make([]byte, len("1\r\n"))
		io.ReadFull(first, answer)
		inOrder += oneIf(answer[0] == '1')
		second.gets(":" + either(answer[0] == '1', "0", "1") + "\r\n")
	}
	if inOrder < rounds*3/4 {
		t.Errorf("only %d of %d times", inOrder, rounds)
	}
}

// The last words arrive, though the client sent more than was read.
func TestLastWords(t *testing.T) {
	s := testServer(t)
	more := strings.Repeat("PING\r\n", 20_000)
	for _, test := range []struct{ in, want string }{
		{"PING\r\nQUIT\r\n", "+PONG\r\n+OK\r\n"},
		{"*1\r\n!4\r\n", "-ERR Protocol error: expected '$', got '!'\r\n"},
	} {
		c := connect(t, s)
		c.send(test.in + more)
		c.CloseWrite()
		waitForClients(t, s, 0)
		c.gets(test.want)
		c.ends()
	}
}

// Many libraries send a whole pipeline before they read one reply; some close
// their side of the connection behind it.
func TestPipelineBeforeReading(t *testing.T) {
	const n = 200_000
	text := xs(100)
	for _, test := range []struct {
		name, end string
		half      bool
	}{
		{"and listening on", "", false},
		{"and sending no more", "", true},
		{"and breaking off in a command", encode("GET", xs(3*bufferSize))[:2*bufferSize], true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := testServer(t)
			c := connect(t, s)
			c.send(encode("SET", "k", text))
			c.gets("+OK\r\n")
			c.send(strings.Repeat(encode("GET", "k"), n) + test.end)
			if test.half {
				c.CloseWrite()
			}
			waitFor(t, "GETs that were run", func() int { return int(s.hits.Load()) }, n)
			c.gets(strings.Repeat("$100\r\n"+text+"\r\n", n))
			if test.half {
				c.ends()
			}
		})
	}
}

// What is owed is kept in chunks. One slice that grows would be copied again and
// again, and stop the whole server each time it is.
func TestOutboxDoesNotCopy(t *testing.T) {
	c, piece, owed := newClient(t, newServer()), make([]byte, 10_000), 0
	var before, after runtime.MemStats
	c.outbox.mu.Lock()
	defer c.outbox.mu.Unlock()
	c.outbox.writing = true // so that it only grows
	runtime.ReadMemStats(&before)
	for ; owed < 64<<20; owed += len(piece) {
		c.owe(piece)
	}
	runtime.ReadMemStats(&after)
	if taken := int(after.TotalAlloc - before.TotalAlloc); taken > 3*owed {
		t.Errorf("to owe %d bytes took %d", owed, taken)
	}
	if c.outbox.bytes != owed {
		t.Error("owes", c.outbox.bytes)
	}
}

// Who stops reading stops nobody else.
func TestStalledReader(t *testing.T) {
	s := testServer(t)
	stalled, other := connect(t, s), connect(t, s)
	other.send(encode("SET", "k", xs(1<<20)))
	other.gets("+OK\r\n")
	stalled.send(strings.Repeat(encode("GET", "k"), 50))
	for i := range 100 {
		other.send(fmt.Sprintf("SETRANGE k %d y\r\nSTRLEN k\r\n", i))
		other.gets(":1048576\r\n:1048576\r\n")
	}
	stalled.Close()
	waitForClients(t, s, 1)
}

func TestManyIdleConnections(t *testing.T) {
	const n = 1000
	s := testServer(t)
	var list []client
	for range n {
		list = append(list, connect(t, s))
	}
	waitForClients(t, s, n)
	for _, c := range list {
		c.send("PING\r\n")
	}
	for _, c := range list {
		c.gets("+PONG\r\n")
		c.Close()
	}
	waitForClients(t, s, 0)
}

func TestMaxClients(t *testing.T) {
	s := testServer(t, "maxclients", "2")
	first := connect(t, s)
	connect(t, s)
	waitForClients(t, s, 2)
	third := connect(t, s)
	third.gets("-ERR max number of clients reached\r\n")
	third.ends()
	first.Close()
	waitForClients(t, s, 1)
	fourth := connect(t, s)
	fourth.send("PING\r\n")
	fourth.gets("+PONG\r\n")
}

// DEBUG is refused as a whole, its help, too, when it was not asked for.
func TestDebugIsRefused(t *testing.T) {
	c := connect(t, testServer(t))
	for _, words := range []string{"DEBUG HELP", "DEBUG SLEEP 0", "DEBUG OBJECT key"} {
		c.send(words + "\r\n")
		c.gets("-" + string(errNoDebug) + "\r\n")
	}
}

func TestPassword(t *testing.T) {
	s := testServer(t, "requirepass", "pw")
	c := connect(t, s)
	c.send("PING\r\nAUTH pw\r\nPING\r\n")
	c.gets("-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n")
	guest := connect(t, s)
	guest.send("*11\r\n")
	guest.gets("-ERR Protocol error: unauthenticated multibulk length\r\n")
	guest.ends()
}

// A bug in a handler costs one client its connection, and leaves no lock behind.
func TestBug(t *testing.T) {
	buggy := row{usage: "BUG", flags: write, run: func(*writer, *request) { panic("a bug") }}
	enter(&table[0], buggy)
	t.Cleanup(func() {
		delete(commands, "BUG")
		delete(commands, "bug")
		root.subs = slices.DeleteFunc(root.subs, func(c *command) bool { return c.name == "bug" })
	})
	s := testServer(t)
	unlucky, other := connect(t, s), connect(t, s)
	unlucky.send("BUG\r\n")
	unlucky.ends()
	other.send("SET k v\r\nGET k\r\n")
	other.gets("+OK\r\n$1\r\nv\r\n")
	waitForClients(t, s, 1)
}

// --- fuzz --------------------------------------------------------------------

// seeds are the wires of the tables, but for the long ones, which slow fuzzing down.
func seeds() (list []string) {
	for _, test := range commandTable {
		list = append(list, test.in)
	}
	for _, test := range breachTable {
		list = append(list, test.in)
	}
	return slices.DeleteFunc(list, func(s string) bool { return len(s) > 200 })
}

// What was read is read again when it is written, and took no more memory than
// its length explains.
func FuzzCommand(f *testing.F) {
	for _, in := range seeds() {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		list, _ := readCommands(bytes.NewReader(in))
		runtime.ReadMemStats(&after)
		if took := int(after.TotalAlloc - before.TotalAlloc); took > 1<<20+100*len(in) {
			t.Errorf("%d bytes took %d", len(in), took)
		}
		var w writer
		for _, words := range list {
			w.bulks(words)
		}
		again, err := readCommands(bytes.NewReader(w.buf))
		if err != io.EOF || !reflect.DeepEqual(again, list) {
			t.Errorf("%q became %q, %v", list, again, err)
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, test := range valueTable {
		f.Add([]byte(test.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		message, _ := newReader(bytes.NewReader(in)).message()
		v, err := newReader(bytes.NewReader(in)).value()
		if err != nil {
			return
		}
		var w writer
		w.value(v)
		again, err := newReader(bytes.NewReader(w.buf)).value()
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%+v became %+v, %v", v, again, err)
		}
		if bytes.HasPrefix(in, w.buf) && message != string(w.buf) {
			t.Errorf("%q is the message %q", w.buf, message)
		}
	})
}

// However a conversation is chopped, it is answered the same.
func FuzzChop(f *testing.F) {
	for i, in := range seeds() {
		f.Add([]byte(in), uint64(i))
	}
	for i, words := range randomCommands(rand.New(rand.NewPCG(1, 1)), 50) {
		f.Add([]byte("MULTI\r\n"+encode(words...)+"EXEC\r\n"), uint64(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		list, _ := readCommands(bytes.NewReader(in))
		for _, words := range list {
			name := strings.ToLower(words[0])
			known := commands[name] != nil && (name != "set" || len(words) > 3)
			if known && !slices.Contains(steady, name) {
				t.Skip("depends on the time, or leaves the process")
			}
		}
		whole, chopped := replies(bytes.NewReader(in), ""), replies(pieces(string(in), seed), "")
		if whole != chopped {
			t.Errorf("answered %s whole and %s chopped", short(whole), short(chopped))
		}
	})
}

// --- how fast, and at what price ---------------------------------------------

// An endless client says the same for ever.
type endless struct {
	text string
	pos  int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], e.text[e.pos:])
		n, e.pos = n+m, (e.pos+m)%len(e.text)
	}
	return n, nil
}

// repeat returns a step: it reads the command off the wire and runs it.
func repeat(words ...string) (step func()) {
	s := newServer()
	c := newConn(s, &wire{Reader: &endless{text: encode(words...)}})
	for i := range 100 {
		c.dispatch([]string{"RPUSH", "list", fmt.Sprint("element ", i)})
	}
	c.dispatch([]string{"SET", "key", "value"})
	c.dispatch([]string{"SET", "number", "12345"})
	var batch [][]string
	return func() {
		if len(batch) == 0 {
			var err error
			if batch, err = c.in.commands(); err != nil {
				panic(err)
			}
		}
		c.out.buf = c.out.buf[:0]
		c.dispatch(batch[0])
		batch = batch[1:]
	}
}

// A tracer knows what each piece is, wherever reads cut what the client says.
func TestTracer(t *testing.T) {
	for _, test := range []struct{ chunks, want string }{
		{"*2|$4|ECHO|$2|hi|", `*2| array of 2, $4| bulk string of 4 bytes, ECHO|   all of it, ` +
			`$2| bulk string of 2 bytes, hi|   all of it`},
		{"$5|a/|bc|/+OK|", `$5| bulk string of 5 bytes, a   a part of it, |bc|   all of it, +OK| simple string`},
		{"$/1/0/|012345/6789|", `$ a part of a line, 1 a part of a line, 0 a part of a line, | bulk string of 10 bytes, ` +
			`012345   a part of it, 6789|   all of it`},
		{"PING|:-1|$-1|*-1|$0||%1|>2|_|,1.5|", `PING| words, :-1| integer, $-1| null, *-1| null, $0| bulk string of 0 bytes, ` +
			`|   all of it, %1| map of 1, >2| push of 2, _| null, ,1.5| double`},
		{"$x|||-ERR a|", "$x| bulk string of x bytes, | words, | words, -ERR a| error"},
		{"+" + xs(100) + "/b/|:1|", "+" + xs(100) + " a part of a line, b a part of a line, | simple string, :1| integer"},
	} {
		var tr tracer
		var got []string
		for chunk := range strings.SplitSeq(strings.ReplaceAll(test.chunks, "|", "\r\n"), "/") {
			for b := []byte(chunk); len(b) > 0; {
				size, meaning := tr.piece(b)
				got = append(got, string(b[:size])+" "+meaning)
				b = b[size:]
			}
		}
		if text := strings.ReplaceAll(strings.Join(got, ", "), "\r\n", "|"); text != test.want {
			t.Errorf("%s\nwant %s\ngot  %s", test.chunks, test.want, text)
		}
	}
}

// What -trace yes -chop 10 prints, and that the commands run all the same.
func TestTrace(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "trace"))
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = file
	t.Cleanup(func() { os.Stdout = stdout })
	s := testServer(t, "trace", "yes", "chop", "10")
	c := connect(t, s)
	c.send(encode("SET", "key", "value\x00") + "GET key\r\n*x\r\n")
	c.gets("+OK\r\n$6\r\nvalue\x00\r\n-ERR Protocol error: invalid multibulk length\r\n")
	c.ends()
	printed, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" sends 10 bytes\n    \"*3\\r\\n\" ", "\"SE\"                       a part of it\n",
		"# waits: 6 bytes kept, 3 words announced and missing", "# whole commands: 1, bytes left over: 6",
		"# set took ", `, keys: ["key"]`, "# \"Protocol error: invalid multibulk length\", at byte 43\n    \"*x\\r\\n\"\n      ^\n", "\"value\\x00\\r\\n\"", " gets ",
		`"-ERR Protocol error: invalid multibulk length\r\n" error`} {
		if !strings.Contains(string(printed), want) {
			t.Errorf("%q is missing in\n%s", want, printed)
		}
	}
}

// One command may take less than a microsecond: INFO adds up what a thousand take.
func TestTimeOfFastCommands(t *testing.T) {
	took, ping := &commands["ping"].nanos, repeat("PING")
	before := took.Load()
	for range 1000 {
		ping()
	}
	if n := took.Load() - before; n < 1000 {
		t.Errorf("a thousand PINGs took %d ns", n)
	}
}

func TestAllocations(t *testing.T) {
	for _, test := range []struct {
		words string
		most  float64
	}{
		{"PING", 1},
		{"GET key", 1},
		{"SET key other", 2},
		{"INCR number", 2},
	} {
		if got := testing.AllocsPerRun(1000, repeat(strings.Fields(test.words)...)); got > test.most {
			t.Errorf("%s allocates %v objects", test.words, got)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, words := range []string{"PING", "SET key value"} {
		b.Run(words, func(b *testing.B) {
			b.ReportAllocs()
			r := newReader(&endless{text: encode(strings.Fields(words)...)})
			for b.Loop() {
				r.commands()
			}
		})
	}
}

// BenchmarkCommand parses and runs, without a network.
func BenchmarkCommand(b *testing.B) {
	for _, words := range []string{"PING", "GET key", "SET key value", "INCR number", "LPUSH other element",
		"HSET hash field value", "ZADD zset 1 member", "LRANGE list 0 99"} {
		b.Run(words, func(b *testing.B) {
			b.ReportAllocs()
			step := repeat(strings.Fields(words)...)
			for b.Loop() {
				step()
			}
		})
	}
}

// BenchmarkPipeline is what one client sees over a real connection.
func BenchmarkPipeline(b *testing.B) {
	s := testServer(b)
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n, " SETs at once"), func(b *testing.B) {
			c := connect(b, s)
			c.SetDeadline(time.Time{})
			batch, answer := strings.Repeat(encode("SET", "key", "value"), n), strings.Repeat("+OK\r\n", n)
			for b.Loop() {
				c.send(batch)
				c.gets(answer)
			}
		})
	}
}

// --- messages of any type ----------------------------------------------------

// A value is any RESP message. Kind is its type byte: + - : $ * of RESP2, and _ # , ( ! = % ~ > of RESP3.
type value struct {
	kind byte
	text string  // what a line or a bulk string holds
	list []value // what an array, a set or a push holds; a map has key, value, key, value
	null bool    // a RESP2 null: $-1 or *-1
}

const (
	blockKinds = "$!="  // a length and that many bytes
	listKinds  = "*%~>" // a number of messages
	valueDepth = 128    // how many arrays may stand within arrays
)

func (v value) is(kinds string) bool { return strings.IndexByte(kinds, v.kind) >= 0 }

// value reads one message of any type. It is what a client does, and as strict as clients are.
func (r *reader) value() (value, error) { return r.valueWithin(valueDepth) }

func (r *reader) valueWithin(depth int) (v value, err error) {
	line, err := r.textLine()
	if err != nil {
		return v, err
	}
	v = value{kind: line[0], text: line[1:]}
	if !v.is(blockKinds + listKinds) {
		return v, v.checkLine()
	}
	n, ok := parseInt(v.text)
	switch {
	case ok && n == -1 && v.is("$*"):
		return value{kind: v.kind, null: true}, nil
	case !ok || n < 0 || n > bulkMax:
		return v, protocolError("invalid length " + strconv.Quote(v.text))
	case v.is(blockKinds):
		var b bytes.Buffer
		_, err = io.CopyN(&b, r, n+2)
		v.text = string(b.Bytes()[:max(0, b.Len()-2)])
		return v, err
	case depth == 0:
		return v, protocolError("nested too deep")
	case v.kind == '%':
		n *= 2
	}
	v.text = ""
	for range n {
		e, err := r.valueWithin(depth - 1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
	}
	return v, nil
}

// textLine reads a line, which must end with CR LF and have something before that.
func (r *reader) textLine() (string, error) {
	for {
		b, _ := r.Peek(r.Buffered())
		end := bytes.IndexByte(b[:min(len(b), lineMax+1)], '\n')
		switch {
		case end > 1 && b[end-1] == '\r':
			line := string(b[:end-1])
			_, err := r.Discard(end + 1)
			return line, err
		case end >= 0:
			return "", protocolError("line without type or CR LF")
		case len(b) > lineMax:
			return "", protocolError("too big line")
		}
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}

// checkLine tells what is wrong with a message that is one line.
func (v value) checkLine() error {
	ok := true
	switch v.kind {
	case '+', '-':
	case ':':
		_, ok = parseInt(v.text)
	case '#':
		ok = v.text == "t" || v.text == "f"
	case '_':
		ok = v.text == ""
	case ',':
		_, err := strconv.ParseFloat(v.text, 64)
		ok = err == nil
	case '(':
		_, ok = new(big.Int).SetString(v.text, 10)
	default:
		return protocolError("unknown type " + strconv.QuoteRune(rune(v.kind)))
	}
	if !ok {
		return protocolError("invalid " + strconv.Quote(string([]byte{v.kind})+v.text))
	}
	return nil
}

// value writes any message just as it was read.
func (w *writer) value(v value) {
	switch {
	case v.null:
		w.head(v.kind, -1)
	case v.is(blockKinds):
		w.block(v.kind, v.text)
	case v.kind == '%':
		w.head(v.kind, int64(len(v.list)/2))
	case v.is(listKinds):
		w.head(v.kind, int64(len(v.list)))
	default:
		w.line(v.kind, v.text)
	}
	for _, e := range v.list {
		w.value(e)
	}
}
