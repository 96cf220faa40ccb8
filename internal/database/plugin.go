package database

import (
	"errors"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/taskmed/taskmed/internal/tenant"
)

// ErrForeignClinic is returned for a row that is to be written for another
// clinic than the scope's.
var ErrForeignClinic = errors.New("database: the row is another clinic's")

// tenantPlugin refuses GORM statements without a scope and adds the clinic to
// the others. Row-level security would catch what it missed; it makes the index
// that leads with the clinic usable, and turns silence into an error.
type tenantPlugin struct{}

// Name implements gorm.Plugin.
func (tenantPlugin) Name() string { return "taskmed:tenant" }

// Initialize implements gorm.Plugin.
func (p tenantPlugin) Initialize(db *gorm.DB) error {
	callbacks := db.Callback()
	return errors.Join(
		callbacks.Query().Before("gorm:query").Register(p.Name(), whereClinic),
		callbacks.Update().Before("gorm:update").Register(p.Name(), changeWhereClinic),
		callbacks.Delete().Before("gorm:delete").Register(p.Name(), changeWhereClinic),
		callbacks.Create().Before("gorm:create").Register(p.Name(), createForClinic),
		// Raw SQL brings its own WHERE; row-level security stands behind it.
		callbacks.Row().Before("gorm:row").Register(p.Name(), refuseRows),
		callbacks.Raw().Before("gorm:raw").Register(p.Name(), needScope),
		callbacks.Query().After("gorm:query").Register(clearing, clearFailed),
		callbacks.Create().After("gorm:create").Register(clearing, clearFailed),
		callbacks.Update().After("gorm:update").Register(clearing, clearFailed),
		callbacks.Delete().After("gorm:delete").Register(clearing, clearFailed),
	)
}

const clearing = "taskmed:clear"

// clearFailed empties what a statement was being read into when it failed. GORM
// scans into values that it keeps for all requests of the process, and where
// scanning fails it copies what the last request left in them: another clinic's
// row.
func clearFailed(db *gorm.DB) {
	target := db.Statement.ReflectValue
	if db.Error == nil || db.RowsAffected == 0 || !target.IsValid() {
		return
	}
	if rows, ok := rowsOf(target); ok {
		for _, row := range rows {
			if row.CanSet() {
				row.SetZero()
			}
		}
	}
	if target.CanSet() {
		target.SetZero()
	}
}

// errNotCleared refuses GORM's Scan and Rows.
var errNotCleared = errors.New("database: read with Find, Take or Pluck: after Scan and Rows no plugin can clear what GORM failed to read")

// refuseRows lets Row pass alone, which scans into the caller's own values.
func refuseRows(db *gorm.DB) {
	if _, ok := scopeOf(db); !ok {
		return
	}
	if many, ok := db.Get("rows"); ok && many == true {
		_ = db.AddError(errNotCleared)
	}
}

func needScope(db *gorm.DB) { scopeOf(db) }

func scopeOf(db *gorm.DB) (*tenant.Scope, bool) {
	scope, err := tenant.From(db.Statement.Context)
	if err != nil {
		_ = db.AddError(err)
		return nil, false
	}
	return scope, true
}

func whereClinic(db *gorm.DB) {
	scope, ok := scopeOf(db)
	if !ok || db.Statement.SQL.Len() > 0 {
		return
	}
	column, ok := clinicColumn(db.Statement.Schema)
	if !ok {
		_ = db.AddError(errors.New("database: a statement on a table that is no tenant's"))
		return
	}
	bracketConditions(db.Statement)
	db.Statement.AddClause(clause.Where{Exprs: []clause.Expression{
		clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: column}, Value: scope.ClinicID},
	}})
}

// bracketConditions makes one of the conditions that are there already: behind
// "a OR b" the clinic would bind b alone.
func bracketConditions(statement *gorm.Statement) {
	conditions, ok := statement.Clauses["WHERE"]
	if !ok {
		return
	}
	if where, ok := conditions.Expression.(clause.Where); ok && len(where.Exprs) > 1 {
		conditions.Expression = clause.Where{Exprs: []clause.Expression{clause.And(where.Exprs...)}}
		statement.Clauses["WHERE"] = conditions
	}
}

// changeWhereClinic refuses a change that names no row: with the clinic in its
// WHERE, GORM would no longer see that it is about to change all of them.
func changeWhereClinic(db *gorm.DB) {
	if _, conditioned := db.Statement.Clauses["WHERE"]; !conditioned && !namesRow(db.Statement) {
		_ = db.AddError(gorm.ErrMissingWhereClause)
		return
	}
	whereClinic(db)
}

func namesRow(statement *gorm.Statement) bool {
	if statement.Schema == nil || !statement.ReflectValue.IsValid() {
		return false
	}
	id := statement.Schema.LookUpField("ID")
	if id == nil || statement.ReflectValue.Type() != statement.Schema.ModelType {
		return false
	}
	_, zero := id.ValueOf(statement.Context, statement.ReflectValue)
	return !zero
}

func createForClinic(db *gorm.DB) {
	scope, ok := scopeOf(db)
	if !ok {
		return
	}
	clinic := fieldOf(db.Statement.Schema, "ClinicID")
	if clinic == nil {
		_ = db.AddError(errors.New("database: a row for a table that is no tenant's"))
		return
	}
	rows, ok := rowsOf(db.Statement.ReflectValue)
	if !ok {
		_ = db.AddError(errors.New("database: rows are created from structs, whose clinic can be checked"))
		return
	}
	for _, row := range rows {
		if value, zero := clinic.ValueOf(db.Statement.Context, row); !zero && value != any(scope.ClinicID) {
			_ = db.AddError(ErrForeignClinic)
			return
		}
		if err := clinic.Set(db.Statement.Context, row, scope.ClinicID); err != nil {
			_ = db.AddError(err)
			return
		}
	}
}

// rowsOf gives the rows of a Create: one struct, or a slice of them. GORM would
// take maps, too.
func rowsOf(value reflect.Value) ([]reflect.Value, bool) {
	rows := []reflect.Value{value}
	if value.Kind() == reflect.Slice || value.Kind() == reflect.Array {
		rows = make([]reflect.Value, value.Len())
		for i := range rows {
			rows[i] = reflect.Indirect(value.Index(i))
		}
	}
	for _, row := range rows {
		if row.Kind() != reflect.Struct {
			return nil, false
		}
	}
	return rows, true
}

// clinicColumn is the column that names a table's clinic.
func clinicColumn(table *schema.Schema) (string, bool) {
	if fieldOf(table, "ClinicID") != nil {
		return "clinic_id", true
	}
	if table != nil && table.Table == "clinics" {
		return "id", true
	}
	return "", false
}

func fieldOf(table *schema.Schema, name string) *schema.Field {
	if table == nil {
		return nil
	}
	return table.LookUpField(name)
}
