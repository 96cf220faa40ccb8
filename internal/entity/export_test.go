package entity

import (
	"context"
	"database/sql"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Scan reads the rows of a statement as a noun's are read: its columns must be the
// noun's, in the struct's order.
func Scan(ctx context.Context, db *database.DB, declaration Declaration, sql string, names ...string) (all []any, err error) {
	n, err := declaration.declared(Server{})
	if err != nil {
		return nil, err
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var batch database.Batch
	sent := batch.Queue(sql, nil, func(rows pgx.Rows) (err error) {
		all, err = scan(ctx, rows, scope, []*part{{noun: n, columns: n.named(names)}}, 2, nil)
		return err
	})
	db.Run(ctx, &batch)
	return all, sent.Err
}

// ByOthers are the columns of a noun that are read by what pgx knows of their Go types.
func ByOthers(declaration Declaration) (names []string, err error) {
	n, err := declaration.declared(Server{})
	if err != nil {
		return nil, err
	}
	for _, name := range n.names {
		if len(n.fields[name].decoders) == 0 {
			names = append(names, n.table+"."+name)
		}
	}
	return names, nil
}

// Enums are the columns of a noun that hold an enum's words, with what reads one.
func Enums(declaration Declaration) (map[string]func(word string) error, error) {
	n, err := declaration.declared(Server{})
	if err != nil {
		return nil, err
	}
	enums := map[string]func(string) error{}
	if n.noTable {
		return enums, nil
	}
	for _, name := range n.names {
		of := n.fields[name].kind
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if _, ok := reflect.TypeAssert[sql.Scanner](reflect.New(of)); ok && of.Kind() == reflect.String {
			enums[n.table+"."+name] = func(word string) error {
				scanner, _ := reflect.TypeAssert[sql.Scanner](reflect.New(of))
				return scanner.Scan(word)
			}
		}
	}
	return enums, nil
}

// Kept is how many statements a registry keeps.
func (r *Registry) Kept() (n int) {
	r.statements.kept.Range(func(any, any) bool { n++; return true })
	return n
}

// MostShapes is how many it keeps at most.
const MostShapes = mostShapes

// Compose has a statement built that reads so many rows of a noun.
func (r *Registry) Compose(ctx context.Context, declaration Declaration, column string, limit int) error {
	n, err := declaration.declared(Server{})
	if err != nil {
		return err
	}
	_, _, err = r.statements.sql(ctx, r.db, &statement{noun: n, columns: []string{column}, limit: limit})
	return err
}
