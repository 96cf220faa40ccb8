package entity

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// decode reads a value that is not null, in the form that Postgres sent it in,
// into a field of a row.
type decode func(field reflect.Value, raw []byte) error

// decoders are those of one Go type, by what Postgres sends. What they do not
// know, pgx reads, more slowly.
type decoders map[wire]decode

// wire is a type of Postgres' and the form of its values.
type wire struct {
	oid    uint32
	format int16
}

// reader makes an entity of the values that Postgres sent of one row.
type reader func(raw [][]byte) (any, error)

// readerOf reads a noun's columns into new T's, of which so many are expected.
// Strings are copied out of the connection's buffer, which the next row overwrites.
func readerOf[T any](columns []*column, described []pgconn.FieldDescription, types *pgtype.Map, expected int, show func(*T)) reader {
	reads := make([]decode, len(columns))
	for i, c := range columns {
		reads[i] = c.decoders[wire{described[i].DataTypeOID, described[i].Format}]
	}
	var room []T
	return func(raw [][]byte) (any, error) {
		if len(room) == 0 {
			room = make([]T, max(1, expected))
			expected = 1
		}
		row := &room[0]
		room = room[1:]
		into := reflect.ValueOf(row).Elem()
		for i, value := range raw {
			if err := columns[i].read(into, value, reads[i], types, &described[i]); err != nil {
				return nil, err
			}
		}
		if show != nil {
			show(row)
		}
		return row, nil
	}
}

// part is what a statement reads of one noun: some columns of its rows, which stand
// behind each other.
type part struct {
	noun    *noun
	columns []*column
	// seen are the entities that were read, by id, where each is read once however
	// many rows show it; nil where each row is one.
	seen map[uuid.UUID]any
}

// scan reads rows that show one part after the other, the first of which is what the
// rows are of.
// behind which the parents' ids come that go into via, unless that is nil.
func scan(ctx context.Context, rows pgx.Rows, scope *tenant.Scope, parts []*part, expected int, via *[]uuid.UUID) ([]any, error) {
	described, types := rows.FieldDescriptions(), rows.Conn().TypeMap()
	readers := make([]reader, len(parts))
	width := 0
	for i, p := range parts {
		end := width + len(p.columns)
		if end > len(described) {
			return nil, fmt.Errorf("entity: more columns were asked for than %d", len(described))
		}
		readers[i] = p.noun.reader(ctx, scope, p.columns, described[width:end], types, expected)
		expected, width = 1, end
	}
	if via != nil {
		width++
	}
	if width != len(described) {
		return nil, fmt.Errorf("entity: %d columns were asked for and %d came", width, len(described))
	}
	var all []any
	for rows.Next() {
		raw := rows.RawValues()
		for i, p := range parts {
			row, err := p.read(readers[i], raw[:len(p.columns)])
			if err != nil {
				return nil, err
			}
			if i == 0 {
				all = append(all, row)
			}
			raw = raw[len(p.columns):]
		}
		if via != nil {
			parent, err := uuid.FromBytes(raw[0])
			if err != nil {
				return nil, fmt.Errorf("entity: a parent of %s: %w", parts[0].noun.table, err)
			}
			*via = append(*via, parent)
		}
	}
	return all, rows.Err()
}

// read reads a row's part; nil for what is not there, or was read before.
func (p *part) read(read reader, raw [][]byte) (any, error) {
	if p.seen == nil {
		return read(raw)
	}
	at := slices.IndexFunc(p.columns, func(c *column) bool { return c.name == "id" })
	if raw[at] == nil {
		return nil, nil //nolint:nilnil // the column points at nothing
	}
	id, err := uuid.FromBytes(raw[at])
	if err != nil {
		return nil, fmt.Errorf("entity: an id of %s: %w", p.noun.table, err)
	}
	if _, known := p.seen[id]; known {
		return nil, nil //nolint:nilnil // it is known
	}
	row, err := read(raw)
	if err != nil {
		return nil, err
	}
	p.seen[id] = row
	return row, nil
}

func (c *column) read(row reflect.Value, raw []byte, read decode, types *pgtype.Map, described *pgconn.FieldDescription) error {
	field := row.FieldByIndex(c.index)
	if raw == nil {
		if field.Kind() == reflect.Pointer || field.Kind() == reflect.Slice {
			return nil
		}
		return fmt.Errorf("entity: the column %s is null, and %s cannot be", c.name, c.kind)
	}
	if read == nil {
		return types.Scan(described.DataTypeOID, described.Format, raw, field.Addr().Interface())
	}
	if err := read(field, raw); err != nil {
		return fmt.Errorf("entity: the column %s: %w", c.name, err)
	}
	return nil
}

// decodersFor are those of a Go type; none for a type that is not known here.
func decodersFor(of reflect.Type) decoders {
	switch reflect.New(of).Interface().(type) {
	case *string:
		return texts(func(field reflect.Value, raw []byte) error { field.SetString(string(raw)); return nil })
	case **string:
		return texts(func(field reflect.Value, raw []byte) error { return set(field, new(string(raw))) })
	case *bool:
		return decoders{{pgtype.BoolOID, pgtype.BinaryFormatCode}: func(field reflect.Value, raw []byte) error {
			field.SetBool(len(raw) == 1 && raw[0] == 1)
			return nil
		}}
	case *int, *int64, *int32:
		return numbers()
	case *uuid.UUID:
		return decoders{{pgtype.UUIDOID, pgtype.BinaryFormatCode}: func(field reflect.Value, raw []byte) error {
			id, err := uuid.FromBytes(raw)
			if err != nil {
				return err
			}
			return set(field, id)
		}}
	case **uuid.UUID:
		return decoders{{pgtype.UUIDOID, pgtype.BinaryFormatCode}: func(field reflect.Value, raw []byte) error {
			id, err := uuid.FromBytes(raw)
			if err != nil {
				return err
			}
			return set(field, &id)
		}}
	case *time.Time:
		return instants(func(field reflect.Value, at time.Time) error { return set(field, at) })
	case **time.Time:
		return instants(func(field reflect.Value, at time.Time) error { return set(field, &at) })
	case *models.Date:
		return days(func(field reflect.Value, day models.Date) error { return set(field, day) })
	case **models.Date:
		return days(func(field reflect.Value, day models.Date) error { return set(field, &day) })
	case *models.JSON:
		return decoders{{pgtype.JSONBOID, pgtype.TextFormatCode}: func(field reflect.Value, raw []byte) error {
			return set(field, append(models.JSON(nil), raw...))
		}}
	}
	if _, ok := reflect.TypeAssert[interface{ Scan(any) error }](reflect.New(of)); ok && of.Kind() == reflect.String {
		return texts(wordsOf(of))
	}
	return nil
}

// set puts a value into a field of its type, without going through reflection's copying.
func set[T any](field reflect.Value, value T) error {
	into, ok := reflect.TypeAssert[*T](field.Addr())
	if !ok {
		return fmt.Errorf("%T does not fit into %s", value, field.Type())
	}
	*into = value
	return nil
}

// texts are the types whose text and binary forms are the text itself.
func texts(read decode) decoders {
	all := decoders{}
	for _, oid := range []uint32{pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID} {
		all[wire{oid, pgtype.TextFormatCode}], all[wire{oid, pgtype.BinaryFormatCode}] = read, read
	}
	return all
}

func numbers() decoders {
	return decoders{
		{pgtype.Int2OID, pgtype.BinaryFormatCode}: sized(2, func(raw []byte) int64 { return int64(int16(binary.BigEndian.Uint16(raw))) }),
		{pgtype.Int4OID, pgtype.BinaryFormatCode}: sized(4, func(raw []byte) int64 { return int64(int32(binary.BigEndian.Uint32(raw))) }),
		{pgtype.Int8OID, pgtype.BinaryFormatCode}: sized(8, func(raw []byte) int64 { return int64(binary.BigEndian.Uint64(raw)) }),
	}
}

func sized(size int, number func([]byte) int64) decode {
	return func(field reflect.Value, raw []byte) error {
		if len(raw) != size {
			return fmt.Errorf("a number of %d bytes came in %d", size, len(raw))
		}
		value := number(raw)
		if field.OverflowInt(value) {
			return fmt.Errorf("the number does not fit into %s", field.Type())
		}
		field.SetInt(value)
		return nil
	}
}

// epoch is what Postgres counts microseconds from.
const epoch = 946_684_800 // 2000-01-01T00:00:00Z in Unix time

func instants(put func(field reflect.Value, at time.Time) error) decoders {
	return decoders{{pgtype.TimestamptzOID, pgtype.BinaryFormatCode}: func(field reflect.Value, raw []byte) error {
		const size, million = 8, 1_000_000
		if len(raw) != size {
			return fmt.Errorf("an instant of %d bytes came in %d", size, len(raw))
		}
		micros := int64(binary.BigEndian.Uint64(raw))
		if micros == 1<<63-1 || micros == -1<<63 {
			return fmt.Errorf("an instant is infinite")
		}
		return put(field, time.Unix(epoch+micros/million, micros%million*1000).UTC())
	}}
}

func days(put func(field reflect.Value, day models.Date) error) decoders {
	return decoders{{pgtype.DateOID, pgtype.BinaryFormatCode}: func(field reflect.Value, raw []byte) error {
		const size, seconds = 4, 24 * 60 * 60
		if len(raw) != size {
			return fmt.Errorf("a day of %d bytes came in %d", size, len(raw))
		}
		day := int32(binary.BigEndian.Uint32(raw))
		if day == 1<<31-1 || day == -1<<31 {
			return fmt.Errorf("a day is infinite")
		}
		return put(field, models.DateOf(time.Unix(epoch+int64(day)*seconds, 0).UTC()))
	}}
}

// wordsOf reads an enum from the clinics' word for it. The enum's own Scan says
// what a word stands for; each is asked once.
func wordsOf(enum reflect.Type) decode {
	known := &atomic.Pointer[map[string]string]{}
	known.Store(&map[string]string{})
	return func(field reflect.Value, raw []byte) error {
		words := *known.Load()
		if value, ok := words[string(raw)]; ok {
			field.SetString(value)
			return nil
		}
		value := reflect.New(enum)
		scanner, ok := reflect.TypeAssert[interface{ Scan(any) error }](value)
		if !ok {
			return fmt.Errorf("%s cannot be read", enum)
		}
		if err := scanner.Scan(string(raw)); err != nil {
			return err
		}
		more := make(map[string]string, len(words)+1)
		maps.Copy(more, words)
		more[string(raw)] = value.Elem().String()
		known.Store(&more)
		field.Set(value.Elem())
		return nil
	}
}
