package database

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

var errNoUUID = errors.New("database: no UUID where one was announced")

// registerTypes teaches a connection to send and read UUIDs and lists of texts in
// binary. Without it pgx sends each id of a list as text, through database/sql's
// interfaces, and asks for lists of texts as text that has to be parsed.
func registerTypes(types *pgtype.Map) {
	id := &pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: uuidCodec{}}
	types.RegisterType(id)
	types.RegisterType(&pgtype.Type{Name: "_uuid", OID: pgtype.UUIDArrayOID, Codec: &pgtype.ArrayCodec{ElementType: id}})
	text := &pgtype.Type{Name: "text", OID: pgtype.TextOID, Codec: binaryText{}}
	types.RegisterType(&pgtype.Type{Name: "_text", OID: pgtype.TextArrayOID, Codec: &pgtype.ArrayCodec{ElementType: text}})
}

// binaryText is pgx's codec of text; as the element of a list it prefers the
// list's binary form.
type binaryText struct{ pgtype.TextCodec }

// PreferredFormat implements pgtype.Codec.
func (binaryText) PreferredFormat() int16 { return pgtype.BinaryFormatCode }

// uuidCodec is pgx's codec of uuid with a plan for uuid.UUID itself.
type uuidCodec struct{ pgtype.UUIDCodec }

// PlanEncode implements pgtype.Codec.
func (c uuidCodec) PlanEncode(types *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		switch value.(type) {
		case uuid.UUID:
			return encodeUUID{}
		case *uuid.UUID:
			return encodeUUIDPointer{}
		}
	}
	return c.UUIDCodec.PlanEncode(types, oid, format, value)
}

// PlanScan implements pgtype.Codec.
func (c uuidCodec) PlanScan(types *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*uuid.UUID); ok && format == pgtype.BinaryFormatCode {
		return scanUUID{}
	}
	return c.UUIDCodec.PlanScan(types, oid, format, target)
}

type encodeUUID struct{}

func (encodeUUID) Encode(value any, buf []byte) ([]byte, error) {
	id, ok := value.(uuid.UUID)
	if !ok {
		return nil, errNoUUID
	}
	return append(buf, id[:]...), nil
}

type encodeUUIDPointer struct{}

func (encodeUUIDPointer) Encode(value any, buf []byte) ([]byte, error) {
	id, ok := value.(*uuid.UUID)
	if !ok {
		return nil, errNoUUID
	}
	if id == nil {
		return nil, nil
	}
	return append(buf, id[:]...), nil
}

type scanUUID struct{}

func (scanUUID) Scan(source []byte, target any) error {
	id, ok := target.(*uuid.UUID)
	if !ok || len(source) != len(id) {
		return errNoUUID
	}
	copy(id[:], source)
	return nil
}
