package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// How to read this file: first the format of the dump, then saving, loading, and saving by itself.

// --- format ------------------------------------------------------------------

// A dump is a line that says what it is, a gob stream of records, and a trailer: their number and the CRC-32C
// of all before, little-endian. It stands at the end because a snapshot is not counted before it is written;
// the checksum is verified before a record is decoded, as gob trusts the lengths that it reads.
const (
	dumpMagic   = "redis-lite dump 2\n"
	trailerSize = 8 + 4    // bytes
	pieceItems  = 1 << 13  // of a record
	pieceBytes  = 16 << 20 // of its items, from which on it takes no more
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// A record is one key, or a piece of a large one, or an entry of a stream; those of a key follow each other.
type record struct {
	DB       int
	Key      string
	Kind     string   // what TYPE says
	Deadline int64    // Unix ms, 0 for never
	Items    []string // what item.elements gives, one behind the other
}

// snapshot calls emit for every key, and returns the changes since the last save that are in it. The keyspace
// is locked meanwhile, so that all is the state of one moment; emit must not write to a disk.
func (s *store) snapshot(emit func(record)) (changes int64) {
	s.RLock()
	defer s.RUnlock()
	for _, d := range s.dbs {
		for key, it := range d.keys.all {
			it.record(record{DB: d.id, Key: key, Kind: it.typeName(), Deadline: it.deadline}, emit)
		}
	}
	return s.changes.Load()
}

// record emits the value of one key, cut where it is large.
func (it *item) record(rec record, emit func(record)) {
	size := 0 // bytes
	for parts := range it.elements {
		if len(rec.Items) >= pieceItems || size >= pieceBytes || rec.Kind == "stream" && rec.Items != nil {
			emit(rec)
			rec.Items, size = nil, 0
		}
		rec.Items = append(rec.Items, parts...)
		for _, s := range parts {
			size += len(s)
		}
	}
	emit(rec)
}

// restore puts a record into the keyspace, or adds it to what is there of its key.
func (s *store) restore(rec record) error {
	if rec.DB < 0 || rec.DB >= len(s.dbs) {
		return fmt.Errorf("no database %d", rec.DB)
	}
	d, wrong := s.dbs[rec.DB], func() error { return fmt.Errorf("key %q is no %s", rec.Key, rec.Kind) }
	unit := either(rec.Kind == "hash" || rec.Kind == "zset", 2, 1) // items of an element
	old := d.keys.get(rec.Key)
	it := cmp.Or(old, &item{deadline: rec.Deadline, access: uint32(s.clock.millis() / 1000)})
	for parts := range slices.Chunk(rec.Items, either(rec.Kind == "stream", max(1, len(rec.Items)), unit)) {
		switch {
		case len(parts) < unit, old != nil && old.typeName() != rec.Kind:
			return wrong()
		case rec.Kind == "string":
			it.text += parts[0]
		case rec.Kind == "list":
			grown[list](it).push(back, parts[0])
		case rec.Kind == "hash":
			grown[hash](it).put(parts[0], parts[1])
		case rec.Kind == "set":
			grown[set](it).put(parts[0], 1)
		case rec.Kind == "zset":
			score, err := strconv.ParseFloat(parts[1], 64)
			if grown[zset](it).add(parts[0], score); err != nil {
				return wrong()
			}
		case rec.Kind == "stream" && len(parts[0]) == len(lastStreamID):
			grown[stream](it).add(parts)
		default:
			return wrong()
		}
	}
	d.put(rec.Key, *it)
	return nil
}

// grown returns the container of an item; one that has none gets it.
func grown[T any, P pointer[T]](it *item) P {
	if it.object == nil {
		it.object = P(new(T))
	}
	return it.object.(P)
}

// --- saving ------------------------------------------------------------------

// A saver is what a server knows of its dumps. Times are Unix times in seconds.
type saver struct {
	busy       sync.Mutex   // held while a dump is being made
	background atomic.Int64 // when one began in the background, or 0
	failing    atomic.Bool  // the last one in the background failed
	last       atomic.Int64 // when the last good one ended
	tried      atomic.Int64 // when the last one began
	saves      atomic.Int64 // good ones
}

// save writes the dump, when another save that is under way has ended.
func (s *server) save() error {
	s.saver.busy.Lock()
	defer s.saver.busy.Unlock()
	return s.saveNow()
}

// saveNow writes the dump. The saver is held by who calls it.
func (s *server) saveNow() error {
	began := time.Now()
	s.saver.tried.Store(began.Unix())
	b := bytes.NewBufferString(dumpMagic)
	enc, n, err := gob.NewEncoder(b), uint64(0), error(nil)
	changes := s.store.snapshot(func(rec record) {
		n++
		err = cmp.Or(err, enc.Encode(rec))
	})
	b.Write(binary.LittleEndian.AppendUint64(nil, n))
	b.Write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b.Bytes(), crcTable)))
	path := s.config.dumpPath()
	if err == nil {
		err = writeFile(path, b.Bytes())
	}
	if err != nil {
		slog.Error("Saving failed", "err", err)
		return err
	}
	s.saver.failing.Store(false)
	s.store.changes.Add(-changes)
	s.saver.last.Store(time.Now().Unix())
	s.saver.saves.Add(1)
	slog.Info("DB saved on disk", "path", path, "bytes", b.Len(), "took", time.Since(began))
	return nil
}

func (c *config) dumpPath() string { return filepath.Join(c.get("dir"), c.get("dbfilename")) }

// writeFile puts b under path by way of a temporary file, so that a crash leaves the old file or the new one.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = cmp.Or(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	// That the folder is synced, too, makes the rename survive a loss of power. Not every system can.
	dir, err := os.Open(filepath.Dir(path))
	err = cmp.Or(err, dir.Sync(), dir.Close()) // a file that is nil is an error, too
	cannot := errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
	return either(cannot, nil, err)
}

// --- loading -----------------------------------------------------------------

// load reads the dump, if there is one, and counts the keys. A file that does not verify is left as it is.
func (s *server) load(into *store) (keys int, err error) {
	path := s.config.dumpPath()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err = cmp.Or(err, decode(b, into)); err != nil {
		return 0, fmt.Errorf("cannot load %s: %w. It was left as it is; move it to start anew", path, err)
	}
	for _, d := range into.dbs {
		keys += d.keys.n
	}
	return keys, nil
}

// decode verifies a dump and puts it into a store.
func decode(b []byte, into *store) error {
	stream, ok := bytes.CutPrefix(b, []byte(dumpMagic))
	switch size := len(b) - 4; {
	case !ok:
		return errors.New("it is no dump of this version of Redis Lite")
	case len(stream) < trailerSize:
		return errors.New("it was cut off")
	case crc32.Checksum(b[:size], crcTable) != binary.LittleEndian.Uint32(b[size:]):
		return errors.New("its checksum does not match, it is damaged")
	}
	end := len(stream) - trailerSize
	count := binary.LittleEndian.Uint64(stream[end:])
	dec, now := gob.NewDecoder(bytes.NewReader(stream[:end])), into.clock.millis()
	for n := uint64(0); ; n++ {
		var rec record
		err := dec.Decode(&rec)
		if err == io.EOF {
			return either(n == count, nil, fmt.Errorf("it has %d records and should have %d", n, count))
		}
		if err == nil && (rec.Deadline == 0 || rec.Deadline > now) { // else it is dead
			err = into.restore(rec)
		}
		if err != nil {
			return err
		}
	}
}

// reload saves the keyspace and loads it again, for DEBUG RELOAD. What others write meanwhile is lost.
func (s *server) reload() error {
	fresh := newStore()
	if err := s.save(); err != nil {
		return err
	}
	if _, err := s.load(fresh); err != nil {
		return err
	}
	s.store.Lock()
	defer s.store.Unlock()
	for i, d := range s.store.dbs {
		s.store.replace(d, fresh.dbs[i], s.store.clock.millis())
	}
	return nil
}

// --- saving by itself --------------------------------------------------------

// saveInBackground starts a save, unless one is under way.
func (s *server) saveInBackground() (began bool) {
	if !s.saver.busy.TryLock() {
		return false
	}
	s.saver.background.Store(time.Now().Unix())
	go func() {
		defer s.saver.busy.Unlock()
		defer s.saver.background.Store(0)
		s.saver.failing.Store(s.saveNow() != nil)
	}()
	return true
}

// saveIfDue saves in the background when a save point has come, and a little later when that failed.
func (s *server) saveIfDue() {
	changes, now := s.store.changes.Load(), time.Now().Unix()
	early := s.saver.failing.Load() && now-s.saver.tried.Load() < 5
	for point := range slices.Chunk(strings.Fields(s.config.get("save")), 2) {
		seconds, _ := parseInt(point[0]) // the setting has been checked
		least, _ := parseInt(point[1])
		due := !early && changes >= max(least, 1) && now-s.saver.last.Load() > seconds
		if due && s.saveInBackground() {
			slog.Info(fmt.Sprintf("%d changes in %d seconds. Saving...", least, seconds))
			return
		}
	}
}
