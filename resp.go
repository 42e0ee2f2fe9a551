package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// How to read this file: RESP, the protocol between Redis and its clients. A
// message is a line that begins with its type and ends with CR LF, followed,
// for some types, by that many bytes or that many messages:
//
//	+OK          simple string      $4   bulk string: 4 bytes and CR LF follow
//	-ERR oops    error              *2   array: 2 messages follow
//	:42          integer            $-1  null ("no such thing"); *-1 is a null array
//
// A command is an array of bulk strings, or a plain line typed by hand. First
// comes the reader, which takes commands and replies off the wire, then the
// writer, which builds replies in memory, then how numbers are read and printed.
// Nothing here knows what a command means or what a key is.

// What a client may send, and what is kept for it; in bytes unless said otherwise.
const (
	lineMax       = 64 << 10  // a line: a length, or a command typed by hand
	bulkMax       = 512 << 20 // a bulk string, and so a value
	bufferSize    = 8 << 10   // input buffer of a connection
	firstStep     = 64 << 10  // room made for a large bulk string before any of it arrived
	argsKept      = 1 << 10   // arguments (a number) whose array a connection keeps for the next command
	guestArgs     = 10        // arguments (a number) of a client that has not given the password
	guestBulkMax  = 16 << 10  // and the length of each
	valueDepth    = 128       // arrays within arrays (a number) in a reply
	outputAtOnce  = 64 << 10  // replies owed when a flush comes even though more commands wait
	outputKept    = 64 << 10  // an output buffer that grew beyond this is let go after the flush
	doubleDigits  = 17        // significant digits that tell any two float64 apart
	decimalDigits = 17        // digits after the point of INCRBYFLOAT
	decimalText   = 5119      // bytes of a number that INCRBYFLOAT reads
)

// protocolError is a breach of RESP. The client is told and then disconnected,
// because nobody can know where its next message would begin.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// --- reading commands --------------------------------------------------------

// A reader takes messages off the wire, in whatever pieces they arrive. It makes
// room only for what has arrived: a length is no more than an announcement.
type reader struct {
	*bufio.Reader
	args  []string // of the command read last; the array is used again
	name  string   // its name, which the next command often repeats
	guest bool     // the client owes the password, and may send only little
}

func newReader(src io.Reader) *reader {
	return &reader{Reader: bufio.NewReaderSize(src, bufferSize)}
}

// command returns the next command: its name and arguments, at least one
// string. The slice is good until the next call, the strings for ever. Empty
// commands are passed over, as Redis does. The error is a protocolError when the
// client broke the protocol, else what the connection said.
func (r *reader) command() ([]string, error) {
	for {
		clear(r.args)
		r.args = r.args[:0]
		if cap(r.args) > argsKept {
			r.args = nil
		}
		first, err := r.Peek(1)
		if err != nil {
			return nil, err
		}
		if first[0] == '*' {
			err = r.multibulk()
		} else {
			err = r.inline()
		}
		if err != nil {
			return nil, err
		}
		if len(r.args) > 0 {
			r.name = r.args[0]
			return r.args, nil
		}
	}
}

// multibulk reads a command as programs send it: an array of bulk strings.
func (r *reader) multibulk() error {
	_, count, ok, err := r.header("too big mbulk count string")
	if err != nil {
		return err
	}
	if !ok || count > math.MaxInt32 {
		return protocolError("invalid multibulk length")
	}
	if r.guest && count > guestArgs {
		return protocolError("unauthenticated multibulk length")
	}
	known := r.name
	for range count {
		kind, n, ok, err := r.header("too big bulk count string")
		if err != nil {
			return err
		}
		if kind != '$' {
			return protocolError("expected '$', got '" + string([]byte{kind}) + "'")
		}
		if !ok || n < 0 || n > bulkMax {
			return protocolError("invalid bulk length")
		}
		if r.guest && n > guestBulkMax {
			return protocolError("unauthenticated bulk length")
		}
		s, err := r.bulk(int(n), known)
		if err != nil {
			return err
		}
		r.args = append(r.args, s)
		known = ""
	}
	return nil
}

// header reads a type byte, a number and the end of the line; ok tells whether
// the number was one. Like Redis it ends a line at CR and takes the byte after
// it for LF unseen.
func (r *reader) header(tooBig protocolError) (kind byte, n int64, ok bool, err error) {
	line, err := r.line('\r', tooBig)
	if err != nil {
		return 0, 0, false, err
	}
	kind = line[0]
	n, ok = parseInt(line[min(1, len(line)-1) : len(line)-1])
	_, err = r.Discard(1) // only now: it may overwrite line
	return kind, n, ok, err
}

// line reads up to and with the byte end. What it returns is good until the
// next read.
func (r *reader) line(end byte, tooBig protocolError) ([]byte, error) {
	line, err := r.ReadSlice(end)
	if err != bufio.ErrBufferFull {
		return line, err
	}
	// Longer than the buffer, which is rare: the rest comes byte by byte.
	for line = bytes.Clone(line); len(line) <= lineMax; {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		line = append(line, b)
		if b == end {
			return line, nil
		}
	}
	return nil, tooBig
}

// bulk reads n bytes and the CR LF behind them. A string equal to known is
// returned as known, which costs no memory.
func (r *reader) bulk(n int, known string) (string, error) {
	if n+2 <= r.Size() {
		b, err := r.Peek(n + 2)
		if err != nil {
			return "", err
		}
		if string(b[:n]) != known {
			known = string(b[:n])
		}
		_, err = r.Discard(n + 2)
		return known, err
	}
	b := make([]byte, 0, min(n, firstStep))
	for {
		got, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+got]
		if err != nil {
			return "", err
		}
		if len(b) == n {
			_, err = r.Discard(2)
			return string(b), err
		}
		b = append(make([]byte, 0, min(n, 2*len(b))), b...)
	}
}

// inline reads a command as people type it: words, quoted where they must be.
func (r *reader) inline() error {
	line, err := r.line('\n', "too big inline request")
	if err != nil {
		return err
	}
	args, ok := splitWords(string(line)) // for which CR and LF are space
	if !ok {
		return protocolError("unbalanced quotes in request")
	}
	r.args = append(r.args, args...)
	return nil
}

// splitWords splits a line as Redis and its clients do: at white space, with
// "double quotes" that know \n \r \t \b \a \xHH and \ before any other byte, and
// 'single quotes' that know only \'. A closing quote ends the word. It reports
// false when quotes are unbalanced.
func splitWords(line string) (words []string, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return words, true
		}
		var word []byte
		for i < len(line) && !isSpace(line[i]) {
			quote := line[i]
			if quote != '"' && quote != '\'' {
				word = append(word, quote)
				i++
				continue
			}
			for i++; ; {
				if i == len(line) {
					return nil, false
				}
				if line[i] == quote {
					i++
					break
				}
				c, size := unescape(line[i:], quote)
				word = append(word, c)
				i += size
			}
			if i < len(line) && !isSpace(line[i]) {
				return nil, false
			}
		}
		words = append(words, string(word))
	}
}

// unescape reads one byte of a quoted word, and tells how many it took to write.
func unescape(s string, quote byte) (c byte, size int) {
	if s[0] != '\\' || len(s) < 2 {
		return s[0], 1
	}
	if quote == '\'' {
		if s[1] == '\'' {
			return '\'', 2
		}
		return '\\', 1
	}
	switch s[1] {
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'b':
		return '\b', 2
	case 'a':
		return '\a', 2
	case 'x':
		if len(s) >= 4 {
			if n, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(n), 4
			}
		}
	}
	return s[1], 2
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// --- reading replies ---------------------------------------------------------

// A value is any RESP message. Kind is its type byte: + - : $ * of RESP2, and
// _ # , ( ! = % ~ > of RESP3.
type value struct {
	kind byte
	text string  // what a line or a bulk string holds
	list []value // what an array, a set or a push holds; a map has key, value, key, value
	null bool    // a RESP2 null: $-1 or *-1
}

var errTooDeep = errors.New("reply is nested too deep")

// value reads one message of any type. It is what a client does, and as strict
// as clients are: a line ends with CR LF.
func (r *reader) value() (value, error) { return r.valueWithin(valueDepth) }

func (r *reader) valueWithin(depth int) (value, error) {
	line, err := r.line('\n', "too big line")
	if err != nil {
		return value{}, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(text) == 0 {
		return value{}, protocolError("line without type or CR LF")
	}
	v := value{kind: text[0], text: string(text[1:])}
	switch v.kind {
	case '+', '-':
		return v, nil
	case ':', '#', ',', '(', '_':
		return v, checkScalar(v)
	case '$', '!', '=', '*', '%', '~', '>':
	default:
		return value{}, protocolError("unknown type " + strconv.QuoteRune(rune(v.kind)))
	}
	n, ok := parseInt(v.text)
	if n == -1 && ok && (v.kind == '$' || v.kind == '*') {
		return value{kind: v.kind, null: true}, nil
	}
	if !ok || n < 0 || n > bulkMax {
		return value{}, protocolError("invalid length " + strconv.Quote(v.text))
	}
	v.text = ""
	if v.kind == '$' || v.kind == '!' || v.kind == '=' {
		v.text, err = r.bulk(int(n), "")
		return v, err
	}
	if depth == 0 {
		return value{}, errTooDeep
	}
	if v.kind == '%' {
		n *= 2
	}
	for range n {
		e, err := r.valueWithin(depth - 1)
		if err != nil {
			return value{}, err
		}
		v.list = append(v.list, e)
	}
	return v, nil
}

// checkScalar tells whether a number, boolean or null of a reply is one.
func checkScalar(v value) error {
	ok := false
	switch v.kind {
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
	}
	if !ok {
		return protocolError("invalid " + strconv.Quote(string([]byte{v.kind})+v.text))
	}
	return nil
}

// --- writing -----------------------------------------------------------------

// A writer builds replies in memory, to be sent when no lock is held. It is the
// only place that knows how the dialects differ: RESP3, which a client asks for
// with HELLO 3, has types for what RESP2 says with arrays and strings.
type writer struct {
	buf   []byte
	resp3 bool
}

func (w *writer) line(kind byte, s string) {
	w.buf = append(w.buf, kind)
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

func (w *writer) head(kind byte, n int64) {
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, '\r', '\n')
}

func (w *writer) ok()             { w.line('+', "OK") }
func (w *writer) simple(s string) { w.line('+', s) }
func (w *writer) int(n int)       { w.head(':', int64(n)) }
func (w *writer) int64(n int64)   { w.head(':', n) }
func (w *writer) array(n int)     { w.head('*', int64(n)) }

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// err writes an error. The text begins with its code, such as ERR or WRONGTYPE.
func (w *writer) err(text string) { w.line('-', oneLine.Replace(text)) }

func (w *writer) bulk(s string) {
	w.head('$', int64(len(s)))
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// bulks writes an array of bulk strings.
func (w *writer) bulks(list []string) {
	w.array(len(list))
	for _, s := range list {
		w.bulk(s)
	}
}

// maybe writes a bulk string, or null when there is none.
func (w *writer) maybe(s string, ok bool) {
	if ok {
		w.bulk(s)
	} else {
		w.null()
	}
}

func (w *writer) null() {
	if w.resp3 {
		w.line('_', "")
	} else {
		w.line('$', "-1")
	}
}

// nullArray is the null of commands that otherwise answer with an array.
func (w *writer) nullArray() {
	if w.resp3 {
		w.line('_', "")
	} else {
		w.line('*', "-1")
	}
}

// mapOf begins a map of n keys, each followed by its value.
func (w *writer) mapOf(n int) {
	if w.resp3 {
		w.head('%', int64(n))
	} else {
		w.array(2 * n)
	}
}

// set begins a set of n members.
func (w *writer) set(n int) {
	if w.resp3 {
		w.head('~', int64(n))
	} else {
		w.array(n)
	}
}

// push begins a message of n parts that is not the reply to a command.
func (w *writer) push(n int) {
	if w.resp3 {
		w.head('>', int64(n))
	} else {
		w.array(n)
	}
}

// pairs begins a list of n pairs, each begun with pair: nested in RESP3, flat in RESP2.
func (w *writer) pairs(n int) {
	if w.resp3 {
		w.array(n)
	} else {
		w.array(2 * n)
	}
}

func (w *writer) pair() {
	if w.resp3 {
		w.array(2)
	}
}

func (w *writer) bool(b bool) {
	switch {
	case w.resp3 && b:
		w.line('#', "t")
	case w.resp3:
		w.line('#', "f")
	case b:
		w.int(1)
	default:
		w.int(0)
	}
}

func (w *writer) double(f float64) {
	if w.resp3 {
		w.line(',', formatDouble(f))
	} else {
		w.bulk(formatDouble(f))
	}
}

// bigNumber writes an integer of any size, given as its decimal digits.
func (w *writer) bigNumber(digits string) {
	if w.resp3 {
		w.line('(', digits)
	} else {
		w.bulk(digits)
	}
}

// verbatim writes text that is meant to be read by people as it stands.
func (w *writer) verbatim(s string) {
	if !w.resp3 {
		w.bulk(s)
		return
	}
	w.head('=', int64(len(s)+4))
	w.buf = append(w.buf, "txt:"...)
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// fields is a map for any, whose order is kept: name, value, name, value.
type fields []any

// names is a set of simple strings for any, and anySet one of anything.
type (
	names  []string
	anySet []any
)

// any writes what replies about the server itself are made of.
func (w *writer) any(v any) {
	switch v := v.(type) {
	case nil:
		w.null()
	case string:
		w.bulk(v)
	case int:
		w.int(v)
	case int64:
		w.int64(v)
	case []string:
		w.bulks(v)
	case names:
		w.set(len(v))
		for _, s := range v {
			w.simple(s)
		}
	case anySet:
		w.set(len(v))
		for _, e := range v {
			w.any(e)
		}
	case []any:
		w.array(len(v))
		for _, e := range v {
			w.any(e)
		}
	case fields:
		w.mapOf(len(v) / 2)
		for _, e := range v {
			w.any(e)
		}
	default:
		panic(fmt.Sprintf("no reply is made of %T", v))
	}
}

// value writes any message just as it was read.
func (w *writer) value(v value) {
	switch v.kind {
	case '$', '!', '=':
		if v.null {
			w.head(v.kind, -1)
			return
		}
		w.head(v.kind, int64(len(v.text)))
		w.buf = append(w.buf, v.text...)
		w.buf = append(w.buf, '\r', '\n')
	case '*', '%', '~', '>':
		if v.null {
			w.head(v.kind, -1)
			return
		}
		n := len(v.list)
		if v.kind == '%' {
			n /= 2
		}
		w.head(v.kind, int64(n))
		for _, e := range v.list {
			w.value(e)
		}
	default:
		w.line(v.kind, v.text)
	}
}

// --- numbers -----------------------------------------------------------------

// parseInt reads a decimal integer as strictly as Redis: no plus sign, no
// leading zero, no space, nothing beyond 64 bits.
func parseInt[T string | []byte](s T) (int64, bool) {
	i, negative := 0, false
	if len(s) > 1 && s[0] == '-' {
		i, negative = 1, true
	}
	if i == len(s) || len(s)-i > 19 || s[i] == '0' && len(s) > 1 {
		return 0, false
	}
	var n uint64 // 19 digits fit
	for ; i < len(s); i++ {
		digit := s[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = n*10 + uint64(digit)
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// formatDouble prints a score as C's %.17g does.
func formatDouble(f float64) string {
	if math.IsInf(f, 0) {
		if f > 0 {
			return "inf"
		}
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', doubleDigits, 64)
}

// decimal is the number that INCRBYFLOAT and HINCRBYFLOAT count with: the 80-bit
// floating point that Redis has from C, whose mantissa has 64 bits.
type decimal = big.Float

// parseDecimal reads a number in decimal, exponent or hexadecimal notation, or an
// infinity. A long text is none: it is Redis's limit, and saves much work.
func parseDecimal(s string) (*decimal, bool) {
	if len(s) > decimalText {
		return nil, false
	}
	s = strings.Replace(strings.ToLower(s), "infinity", "inf", 1)
	hex := strings.Contains(s, "x")
	if strings.Contains(s, "_") || !hex && strings.ContainsAny(s, "bop") { // which Go would read
		return nil, false
	}
	f, _, err := big.ParseFloat(s, 0, 64, big.ToNearestEven)
	return f, err == nil && inRange(f)
}

// inRange tells whether C's long double goes as far as f. A big.Float goes much
// further: 1e600000000 has 600 million digits when it is printed.
func inRange(f *decimal) bool {
	exponent := f.MantExp(nil)
	return exponent > -16446 && exponent <= 16384
}

// formatDecimal prints as C's %.17Lf does, without the zeros at the end.
func formatDecimal(f *decimal) string {
	s := strings.TrimRight(f.Text('f', decimalDigits), "0")
	s = strings.TrimSuffix(s, ".")
	if s == "-0" {
		return "0"
	}
	return s
}
