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

// How to read this file: RESP, the protocol between Redis and its clients. A message is a line that begins
// with its type and ends with CR LF, followed, for some types, by that many bytes or that many messages:
//
//	+OK          simple string      $4   bulk string: 4 bytes and CR LF follow
//	-ERR oops    error              *2   array: 2 messages follow
//	:42          integer            $-1  null ("no such thing"); *-1 is a null array
//
// A command is an array of bulk strings, or a plain line typed by hand. First comes the reader, which takes
// commands off the wire, and replies; then the tracer, which explains both; then the writer, which builds
// replies in memory; then how numbers are read and printed. Nothing here knows what a command or a key means.

// What a client may send, and what is kept for it; in bytes unless said otherwise.
const (
	lineMax      = 64 << 10  // a line: a length, or a command typed by hand
	bulkMax      = 512 << 20 // a bulk string, and so a value
	bufferSize   = 8 << 10   // input buffer of a connection
	batchMax     = 64        // commands of a pipeline that are read at a time
	argsKept     = 1 << 10   // arguments (a number) whose array a connection keeps for the next command
	guestArgs    = 10        // arguments (a number) of a client that has not given the password
	guestBulkMax = 16 << 10  // and the length of each
	outputMax    = 32 << 10  // replies owed when a flush comes anyway; a buffer of twice as much is kept
	shownMax     = 60        // a piece of a message in a trace
	decimalText  = 5119      // a number that INCRBYFLOAT reads
)

// protocolError is a breach of RESP. It ends a connection: who knows where the next message would begin?
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// --- reading commands --------------------------------------------------------

// A reader takes messages off the wire, in whatever pieces they arrive. Commands are cut off its buffer; when
// not all of one is there, it remembers how far it came and waits for more. The buffer grows with what has
// arrived: a length is no more than an announcement.
type reader struct {
	*bufio.Reader
	src   io.Reader
	batch [][]string // the commands read last
	args  []string   // their arguments, and behind them those of a command that is not all here
	begin int        // where the latter begin
	left  int        // how many of them are still to come
	name  string     // of the last command, which the next often repeats
	guest bool       // the client owes the password, and may send only little
}

func newReader(src io.Reader) *reader {
	return &reader{Reader: bufio.NewReaderSize(src, bufferSize), src: src}
}

// commands returns the next command, and those of a pipeline that have arrived behind it: each its name and
// its arguments. The slices are good until the next call, the strings for ever. Empty commands are passed
// over, as Redis does. The error is a protocolError, or what the connection said.
func (r *reader) commands() ([][]string, error) {
	n := copy(r.args, r.args[r.begin:])
	clear(r.args[n:])
	if r.args, r.begin, r.batch = r.args[:n], 0, r.batch[:0]; n == 0 && cap(r.args) > argsKept {
		r.args = nil
	}
	for len(r.batch) < batchMax && !(r.guest && len(r.batch) > 0) {
		whole, err := r.cut()
		if !whole && len(r.batch) > 0 {
			break // the rest can wait; an error comes back with the next call
		}
		if !whole && err == nil {
			err = r.fill()
		}
		if err != nil {
			return nil, err
		}
		if whole && len(r.args) > r.begin {
			r.batch = append(r.batch, r.args[r.begin:])
			r.begin = len(r.args)
		}
	}
	return r.batch, nil
}

// fill waits until more has arrived, and makes room for it.
func (r *reader) fill() error {
	if full := r.Buffered() == r.Size(); full || r.Size() > bufferSize && r.Buffered() < bufferSize {
		b, _ := r.Peek(r.Buffered())
		all := io.MultiReader(bytes.NewReader(bytes.Clone(b)), r.src)
		r.Reader = bufio.NewReaderSize(all, either(full, 2*r.Size(), bufferSize))
	}
	_, err := r.Peek(r.Buffered() + 1)
	return err
}

// cut cuts a command off the buffer, if all is there: an array of bulk strings, or a line typed by hand.
func (r *reader) cut() (whole bool, err error) {
	b, _ := r.Peek(r.Buffered())
	at := 0
	defer func() { r.Discard(at) }()
	if r.left == 0 {
		if len(b) > 0 && b[0] != '*' {
			at, err = r.cutLine(b)
			return at > 0, err
		}
		n, size, err := r.header(b, '*', math.MaxInt32, guestArgs)
		if err != nil || size == 0 {
			return false, err
		}
		r.left, at = n, size
	}
	for ; r.left > 0; r.left-- {
		n, size, err := r.header(b[at:], '$', bulkMax, guestBulkMax)
		if err != nil || size == 0 || len(b) < at+size+n+2 {
			return false, err
		}
		arg := b[at+size:][:n]
		at += size + n + 2
		if len(r.args) > r.begin {
			r.args = append(r.args, string(arg))
			continue
		}
		if string(arg) != r.name {
			r.name = string(arg) // which costs memory
		}
		r.args = append(r.args, r.name)
	}
	return true, nil
}

// header reads a line of size bytes, 0 when not all is here: the byte that says what follows, and how much.
// Like Redis it ends a line at CR and takes the byte after it for LF unseen.
func (r *reader) header(b []byte, kind byte, most, guestMost int64) (n, size int, err error) {
	end := bytes.IndexByte(b[:min(len(b), lineMax+1)], '\r')
	what := either(kind == '*', "multibulk", "bulk")
	switch {
	case end < 0 && len(b) > lineMax:
		return 0, 0, protocolError("too big " + strings.Replace(what, "multi", "m", 1) + " count string")
	case end < 0 || end+1 == len(b):
		return 0, 0, nil
	case b[0] != kind:
		return 0, 0, protocolError("expected '$', got '" + string(b[:1]) + "'")
	}
	length, ok := parseInt(b[1:end])
	switch {
	case !ok || length > most || length < 0 && kind == '$':
		err = protocolError("invalid " + what + " length")
	case r.guest && length > guestMost:
		err = protocolError("unauthenticated " + what + " length")
	}
	return int(max(length, 0)), end + 2, err
}

// cutLine reads a command typed by hand, and returns how long its line is.
func (r *reader) cutLine(b []byte) (size int, err error) {
	end := bytes.IndexByte(b[:min(len(b), lineMax+1)], '\n')
	if end < 0 && len(b) > lineMax {
		return 0, protocolError("too big inline request")
	}
	words, ok := splitWords(string(b[:end+1])) // for which CR and LF are space
	if !ok {
		return 0, protocolError("unbalanced quotes in request")
	}
	r.args = append(r.args, words...)
	return end + 1, nil
}

// splitWords splits a line as Redis and its clients do: at white space, with "double quotes" that know \n \r
// \t \b \a \xHH and \ before any other byte, and 'single quotes' that know \'. Unbalanced quotes are not ok.
func splitWords(line string) (words []string, ok bool) {
	word, quote := []byte(nil), byte(0) // nil between words, and 0 outside of quotes
	for line += " "; line != ""; {      // so that a space ends every word
		c, size := line[0], 1
		switch {
		case quote != 0 && c != quote:
			c, size = unescape(line, quote)
			word = append(word, c)
		case quote != 0 && strings.IndexByte(space, line[1]) < 0:
			return nil, false
		case quote != 0:
			quote = 0
		case c == '"' || c == '\'':
			quote, word = c, append([]byte{}, word...) // a word begins, even when it stays empty
		case strings.IndexByte(space, c) < 0:
			word = append(word, c)
		case word != nil:
			words, word = append(words, string(word)), nil
		}
		line = line[size:]
	}
	return words, quote == 0
}

// unescape reads one byte of a quoted word, and tells how many it took to write. A space ends s.
func unescape(s string, quote byte) (c byte, size int) {
	if s[0] != '\\' || quote == '\'' && s[1] != '\'' {
		return s[0], 1
	}
	if n, err := strconv.ParseUint(s[2:min(4, len(s))], 16, 8); s[1] == 'x' && err == nil {
		return byte(n), 4
	}
	if i := strings.IndexByte("nrtba", s[1]); i >= 0 {
		return "\n\r\t\b\a"[i], 2
	}
	return s[1], 2
}

// appendQuoted appends s in quotes, safe to print, so that unescape can read it.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch i := strings.IndexByte("\n\r\t\b\a\"\\", c); {
		case i >= 0:
			b = append(b, '\\', "nrtba\"\\"[i])
		case c < ' ' || c > '~':
			b = fmt.Appendf(b, "\\x%02x", c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

const space = " \t\n\v\f\r"

// --- reading replies ---------------------------------------------------------

// message reads one message of any type, and those in it, and returns them as they are on the wire.
func (r *reader) message() (wire string, err error) {
	var b strings.Builder
	for left := int64(1); left > 0 && err == nil; left-- {
		line, problem := r.ReadSlice('\n') // which a buffer must hold
		if b.Write(line); problem != nil {
			return b.String(), problem
		}
		n, _ := parseInt(bytes.TrimSpace(line[1:]))
		switch kind := line[0]; {
		case n >= 0 && strings.IndexByte("$=!", kind) >= 0:
			_, err = io.CopyN(&b, r, n+2)
		case strings.IndexByte("*~>%", kind) >= 0:
			left += max(n, 0) * int64(1+oneIf(kind == '%'))
		}
	}
	return b.String(), err
}

// --- tracing -----------------------------------------------------------------

// meanings says what a line is, by its first byte; # stands for the rest of it.
var meanings = map[byte]string{'+': "simple string", '-': "error", ':': "integer", '*': "array of #",
	'$': "bulk string of # bytes", '=': "text of # bytes", '!': "error of # bytes", '%': "map of #",
	'~': "set of #", '>': "push of #", ',': "double", '#': "boolean", '(': "big number", '_': "null"}

// A tracer tells what one side says in pieces: lines, the bytes of bulk strings, and parts that arrive alone.
type tracer struct {
	line string // of which the end is still to come
	left int    // bytes of a bulk string that are still to come, its CR LF included
	seen int    // bytes in all
}

// explain puts the pieces of b on lines of their own, each with what it is.
func (t *tracer) explain(b []byte) string {
	text := []byte("\n")
	for t.seen += len(b); len(b) > 0; {
		size, meaning := t.piece(b)
		shown, dots := appendQuoted(nil, string(b[:min(size, shownMax)])), either(size > shownMax, "...", "")
		text = fmt.Appendf(text, "    %-24s%s %s\n", shown, dots, meaning)
		b = b[size:]
	}
	return string(text)
}

// piece returns the size of the next piece, and what it is.
func (t *tracer) piece(b []byte) (size int, meaning string) {
	if t.left > 0 {
		size = min(t.left, len(b))
		t.left -= size
		return size, either(t.left > 0, "  a part of it", "  all of it")
	}
	size = bytes.IndexByte(b, '\n') + 1
	line := t.line + string(b[:either(size > 0, size, len(b))])
	if t.line = line[:min(len(line), shownMax)]; size == 0 {
		return len(b), "a part of a line"
	}
	t.line = ""
	rest := strings.TrimSpace(line[1:])
	if n, ok := parseInt(rest); ok && n >= 0 && strings.IndexByte("$=!", line[0]) >= 0 {
		t.left = int(n) + 2
	}
	meaning = strings.Replace(meanings[line[0]], "#", rest, 1)
	meaning = either(rest == "-1" && line[0] != ':', "null", either(meaning == "", "words", meaning))
	return size, meaning + either(strings.HasSuffix(line, "\r\n"), "", ", without CR")
}

// --- writing -----------------------------------------------------------------

// A writer builds replies in memory. It alone knows what RESP3, of HELLO 3, says otherwise than RESP2.
type writer struct {
	buf   []byte
	resp3 bool
}

// line writes a message that is one line.
func (w *writer) line(kind byte, text string) {
	w.buf = append(w.buf, kind)
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, '\r', '\n')
}

// head writes a line that says how much follows, and integers.
func (w *writer) head(kind byte, n int64) {
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, '\r', '\n')
}

// block writes a message that may hold any bytes.
func (w *writer) block(kind byte, s string) {
	w.head(kind, int64(len(s)))
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// What most replies are made of. The text of an error begins with its code, such as ERR or WRONGTYPE.
func (w *writer) ok()             { w.line('+', "OK") }
func (w *writer) simple(s string) { w.line('+', s) }
func (w *writer) err(text string) { w.line('-', oneLine.Replace(text)) }
func (w *writer) int(n int)       { w.head(':', int64(n)) }
func (w *writer) int64(n int64)   { w.head(':', n) }
func (w *writer) bit(b bool)      { w.int(oneIf(b)) }
func (w *writer) bulk(s string)   { w.block('$', s) }
func (w *writer) maybe(p *string) { orNull(w, p, (*writer).bulk) }
func (w *writer) array(n int)     { w.head('*', int64(n)) }
func (w *writer) null()           { w.buf = append(w.buf, either(w.resp3, "_\r\n", "$-1\r\n")...) }
func (w *writer) nullArray()      { w.buf = append(w.buf, either(w.resp3, "_\r\n", "*-1\r\n")...) }

func (w *writer) bulks(list []string) {
	w.array(len(list))
	for _, s := range list {
		w.bulk(s)
	}
}

// orNull has put write what p points to; where nothing is it writes null.
func orNull[V any](w *writer, p *V, put func(w *writer, v V)) {
	if p != nil {
		put(w, *p)
	} else {
		w.null()
	}
}

// done writes n when the command counts, else OK.
func (w *writer) done(counts bool, n int) {
	if counts {
		w.int(n)
	} else {
		w.ok()
	}
}

// These begin a message of n parts, or rows, which are nested in RESP3 and flat in RESP2 when they are pairs.
// Then come one of these rows, and a key of a map and its value, which RESP2 has as a pair.
func (w *writer) mapOf(n int)           { w.begin('%', n, 2*n) } // n keys, each before its value
func (w *writer) set(n int)             { w.begin('~', n, n) }
func (w *writer) push(n int)            { w.begin('>', n, n) } // what is no reply to a command
func (w *writer) rows(n int, pair bool) { w.begin('*', n, n*(1+oneIf(pair))) }
func (w *writer) row(pair bool)         { w.buf = append(w.buf, either(w.resp3 && pair, "*2\r\n", "")...) }
func (w *writer) column()               { w.buf = append(w.buf, either(w.resp3, "", "*2\r\n")...) }

// begin begins n parts of a type of RESP3, or the flat array that RESP2 has for it.
func (w *writer) begin(kind byte, n, flat int) {
	w.head(either(w.resp3, kind, '*'), int64(either(w.resp3, n, flat)))
}

func (w *writer) double(f float64) {
	if w.resp3 {
		w.line(',', formatDouble(f))
	} else {
		w.bulk(formatDouble(f))
	}
}

// verbatim writes text that is meant to be read by people as it stands.
func (w *writer) verbatim(s string) {
	w.block(either[byte](w.resp3, '=', '$'), either(w.resp3, "txt:"+s, s))
}

type (
	fields []any    // a map for any, whose order is kept: name, value, name, value
	names  []string // a set of simple strings for any
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
	case []any:
		w.array(len(v))
		w.each(v...)
	case fields:
		w.mapOf(len(v) / 2)
		w.each(v...)
	default:
		panic(fmt.Sprintf("no reply is made of %T", v))
	}
}

func (w *writer) each(list ...any) {
	for _, v := range list {
		w.any(v)
	}
}

// --- numbers -----------------------------------------------------------------

// parseInt reads an integer as strictly as Redis: no plus sign, leading zero or space, and at most 64 bits.
func parseInt[T string | []byte](s T) (int64, bool) {
	negative := len(s) > 1 && s[0] == '-'
	i := oneIf(negative)
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
	return either(negative, -int64(n), int64(n)), n <= math.MaxInt64+uint64(oneIf(negative))
}

// formatDouble prints a score as C's %.17g does.
func formatDouble(f float64) string {
	return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', 17, 64)), "+") // it says +Inf
}

// strtod reads a number as C does: in decimal, exponent or hexadecimal notation, or an infinity, but no NaN.
func strtod(s string) (f float64, ok bool) {
	s = strings.ReplaceAll(s, "_", "?") // Go would read it
	noExponent := strings.ContainsAny(s, "xX") && !strings.ContainsAny(s, "pP")
	f, err := strconv.ParseFloat(s+either(noExponent, "p0", ""), 64)
	return f, !errors.Is(err, strconv.ErrSyntax) && !math.IsNaN(f)
}

// parseDouble reads a score: a number that is neither too large nor too small.
func parseDouble(s string) (float64, bool) {
	f, ok := strtod(s)
	if ok && (f == 0 || math.IsInf(f, 0)) {
		exact, ok := parseDecimal(s)
		return f, ok && (exact.Sign() == 0 || exact.IsInf())
	}
	return f, ok
}

// parseDecimal reads a number as strtod does, but with the precision of C's 80-bit floating point, a mantissa
// of 64 bits. A long text is none, as if it were empty: it is Redis's limit, and saves much work.
func parseDecimal(s string) (*big.Float, bool) {
	s = either(len(s) > decimalText, "", s)
	_, ok := strtod(s) // big.ParseFloat would read more, such as 1_000, 0b1 or 1p5
	s = strings.Replace(strings.ToLower(s), "infinity", "inf", 1)
	f, _, err := big.ParseFloat(s, 0, 64, big.ToNearestEven)
	return f, ok && err == nil && inRange(f)
}

// inRange tells whether C's long double goes as far as f: a big.Float of 1e600000000 prints for minutes.
func inRange(f *big.Float) bool {
	exponent := f.MantExp(nil)
	return exponent > -16446 && exponent <= 16384
}

// formatDecimal prints as C's %.17Lf does, without the zeros at the end.
func formatDecimal(f *big.Float) string {
	s := strings.TrimSuffix(strings.TrimRight(f.Text('f', 17), "0"), ".")
	return either(s == "-0", "0", s)
}
