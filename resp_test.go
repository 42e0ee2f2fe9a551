package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"slices"
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

// readCommands reads commands until something ends that.
func readCommands(src io.Reader) (list [][]string, err error) {
	r := newReader(src)
	for {
		words, err := r.command()
		if err != nil {
			return list, err
		}
		list = append(list, slices.Clone(words))
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
	s.config.set(map[string]string{"requirepass": password})
	c := &wire{Reader: src}
	s.admit(c).serve()
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
	{encode("SET", "k", strings.Repeat("x", bufferSize-2)), [][]string{{"SET", "k", strings.Repeat("x", bufferSize-2)}}},
	{encode("SET", "k", strings.Repeat("x", bufferSize-1)), [][]string{{"SET", "k", strings.Repeat("x", bufferSize-1)}}},
	{encode("SET", "k", strings.Repeat("x", 300<<10), "y"), [][]string{{"SET", "k", strings.Repeat("x", 300<<10), "y"}}},
	{encode(strings.Split(strings.Repeat("x", 3000), "")...), [][]string{strings.Split(strings.Repeat("x", 3000), "")}},

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
	{`PING a"b c" \x41 "\x4" "\xZZ" "\x+4"` + "\r\n", [][]string{{"PING", "ab c", `\x41`, "x4", "xZZ", "x+4"}}},
	{`""` + "\r\n", [][]string{{""}}},
	{"PING " + strings.Repeat("x", lineMax-7) + "\r\n", [][]string{{"PING", strings.Repeat("x", lineMax-7)}}},
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
		for i := range min(len(test.in), 100) {
			check(fmt.Sprint("broken at ", i), io.MultiReader(strings.NewReader(test.in[:i]), strings.NewReader(test.in[i:])))
		}
	}
}

// A message that ends too early is no message, wherever it ends.
func TestCommandTruncated(t *testing.T) {
	long := strings.Repeat("x", 2*bufferSize)
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
	{"*1\r\n" + strings.Repeat("x", lineMax+1), "-ERR Protocol error: too big bulk count string\r\n"},

	{"\"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"'\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING \"a\"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING 'a'b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"PING \"\\\"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{strings.Repeat("x", lineMax+1), "-ERR Protocol error: too big inline request\r\n"},

	{"PING\r\n*1\r\n$x\r\n", "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"}, // what came before is answered
	{"QUIT\r\n", "+OK\r\n"},
	{"QUIT now please\r\n", "+OK\r\n"},
	{"POST / HTTP/1.1\r\n", ""},                      // a browser, sent by a web page
	{"*2\r\n$5\r\nhost:\r\n$9\r\nlocalhost\r\n", ""}, // so, too
	{"$4\r\n", "-ERR unknown command '$4', with args beginning with: \r\n+PONG\r\n"}, // typed by hand, it seems
	{"*1\r\n$6\r\nno\r\nus\r\n", "-ERR unknown command 'no  us', with args beginning with: \r\n+PONG\r\n"},
}

func TestProtocolErrors(t *testing.T) {
	for _, test := range breachTable {
		if got := replies(strings.NewReader(test.in+"PING\r\n"), ""); got != test.want {
			t.Errorf("%s is answered %s", short(test.in), short(got))
		}
		if len(test.in) < 1000 {
			if got := replies(iotest.OneByteReader(strings.NewReader(test.in+"PING\r\n")), ""); got != test.want {
				t.Errorf("%s byte by byte is answered %s", short(test.in), short(got))
			}
		}
	}
}

// Who has not given the password can neither do nor send much.
func TestGuest(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"GET k\r\n", "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"},
		{"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n-NOAUTH Authentication required.\r\n"},
		{"AUTH no\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n" +
			"-NOAUTH Authentication required.\r\n"},
		{"AUTH pw\r\n", "+OK\r\n+PONG\r\n"},
		{"AUTH pw\r\nRESET\r\n", "+OK\r\n+RESET\r\n-NOAUTH Authentication required.\r\n"},
		{"*10\r\n" + strings.Repeat("$1\r\na\r\n", 10), "-ERR unknown command 'a', with args beginning with: " +
			strings.Repeat("'a' ", 9) + "\r\n-NOAUTH Authentication required.\r\n"},
		{"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*2\r\n$4\r\nPING\r\n$16384\r\n" + strings.Repeat("x", 16384) + "\r\n",
			"-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"},
		{"*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		{"AUTH pw\r\n" + encode("PING", strings.Repeat("x", 16385)),
			"+OK\r\n$16385\r\n" + strings.Repeat("x", 16385) + "\r\n+PONG\r\n"},
	} {
		if got := replies(strings.NewReader(test.in+"PING\r\n"), "pw"); got != test.want {
			t.Errorf("%s is answered %s", short(test.in), short(got))
		}
	}
}

// steady names commands whose replies depend on nothing but the commands before.
var steady = []string{"append", "decr", "del", "discard", "echo", "exec", "exists", "get", "getdel", "getrange",
	"incr", "incrby", "incrbyfloat", "llen", "lpop", "lpush", "lrange", "multi", "ping", "quit", "rpush", "select",
	"setnx", "strlen", "type", "unwatch", "watch"}

// randomCommands returns n commands of which most make sense.
func randomCommands(rnd *rand.Rand, n int) (list [][]string) {
	key := func() string { return string(rune('a' + rnd.IntN(8))) }
	text := func() string {
		b := make([]byte, rnd.IntN(1<<rnd.IntN(14)))
		for i := range b {
			b[i] = byte(rnd.IntN(256))
		}
		return string(b)
	}
	for range n {
		list = append(list, [][]string{
			{"SET", key(), text()}, {"GET", key()}, {"append", key(), text()}, {"INCR", key()}, {"del", key(), key()},
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
	for seed := range uint64(3) {
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
	for _, in := range []string{"*2147483647\r\n", "*1\r\n$536870912\r\n", "*2147483647\r\n$1\r\na\r\n$536870912\r\nx"} {
		read("command", in, func(r *reader) error { _, err := r.command(); return err })
	}
	for _, in := range []string{"$536870912\r\nx", "!536870912\r\n", "=536870912\r\n", "*536870912\r\n", "~536870912\r\n:1\r\n",
		">536870912\r\n", "%536870912\r\n+k\r\n", strings.Repeat("*536870912\r\n", 2*valueDepth)} {
		read("value", in, func(r *reader) error { _, err := r.value(); return err })
	}
}

// What was read stays as it is when the next is read.
func TestCommandsDoNotShareMemory(t *testing.T) {
	r := newReader(strings.NewReader(encode("SET", "k", "first") + encode("GET", "x", "other")))
	words, _ := r.command()
	first := words[2]
	r.command()
	if first != "first" {
		t.Errorf("the first command now holds %q", first)
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
			src := io.MultiReader(strings.NewReader(test.in[:i]), strings.NewReader(test.in[i:]))
			if got, err := newReader(src).value(); err != nil || !reflect.DeepEqual(got, test.want) {
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
		{"+" + strings.Repeat("x", lineMax), "too big line"},
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
	if _, err := newReader(strings.NewReader(nested(valueDepth + 1))).value(); err != errTooDeep {
		t.Error(err)
	}
}

// --- writing -----------------------------------------------------------------

func TestWriter(t *testing.T) {
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
		{"maybe", func(w *writer) { w.maybe("a", true) }, "$1\r\na\r\n", ""},
		{"maybe not", func(w *writer) { w.maybe("a", false) }, "$-1\r\n", "_\r\n"},
		{"null", func(w *writer) { w.null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *writer) { w.nullArray() }, "*-1\r\n", "_\r\n"},
		{"map", func(w *writer) { w.mapOf(3) }, "*6\r\n", "%3\r\n"},
		{"set", func(w *writer) { w.set(3) }, "*3\r\n", "~3\r\n"},
		{"push", func(w *writer) { w.push(3) }, "*3\r\n", ">3\r\n"},
		{"pairs", func(w *writer) { w.pairs(1); w.pair() }, "*2\r\n", "*1\r\n*2\r\n"},
		{"true", func(w *writer) { w.bool(true) }, ":1\r\n", "#t\r\n"},
		{"false", func(w *writer) { w.bool(false) }, ":0\r\n", "#f\r\n"},
		{"double", func(w *writer) { w.double(0.5) }, "$3\r\n0.5\r\n", ",0.5\r\n"},
		{"infinity", func(w *writer) { w.double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"big number", func(w *writer) { w.bigNumber("-123") }, "$4\r\n-123\r\n", "(-123\r\n"},
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
