// Package rights is the table of who may read and do what, read once from the
// schema's @allow directives. Whatever is not restricted there is open to every
// role of the clinic.
package rights

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/models"
)

// Roles is a set of roles.
type Roles uint32

// Everyone is the set that no @allow has narrowed.
const Everyone = ^Roles(0)

// Table tells for every type and field of the schema which roles may select it.
// It does not change and may be shared.
type Table struct {
	roles  []models.Role
	bit    map[models.Role]Roles
	types  map[string]Roles
	byName map[string]map[string]Roles
	schema *ast.Schema
}

// New reads the table from a schema that declares an enum Role. It fails where
// an @allow could be walked around: a field of an interface that is open while
// the same field of an object behind it is not.
func New(schema *ast.Schema) (*Table, error) {
	enum := schema.Types["Role"]
	if enum == nil || enum.Kind != ast.Enum || len(enum.EnumValues) > 31 {
		return nil, errors.New("rights: the schema has no enum Role of at most 31 values")
	}
	t := &Table{
		bit:    map[models.Role]Roles{},
		types:  map[string]Roles{},
		byName: map[string]map[string]Roles{},
		schema: schema,
	}
	for i, value := range enum.EnumValues {
		role := models.Role(value.Name)
		t.roles = append(t.roles, role)
		t.bit[role] = 1 << i
	}
	if err := t.readTypes(); err != nil {
		return nil, err
	}
	if err := t.readFields(); err != nil {
		return nil, err
	}
	return t, t.checkInterfaces()
}

// Roles lists the schema's roles in its order.
func (t *Table) Roles() []models.Role { return slices.Clone(t.roles) }

// Bit is the role as a set of one; the empty set for a role the schema has not,
// which therefore may do nothing.
func (t *Table) Bit(role models.Role) Roles { return t.bit[role] }

// Field is the set of roles that may select a field: those that its own @allow,
// that of the type it is on and that of the type it gives have in common.
// Fields that the table has not, such as __typename, are as open as their type.
func (t *Table) Field(parent string, field *ast.FieldDefinition) Roles {
	// By name: another load of the same schema has other definitions.
	if roles, ok := t.byName[parent][field.Name]; ok {
		return roles
	}
	return t.Type(parent)
}

// Type is the set of roles that may see anything of an object type.
func (t *Table) Type(name string) Roles {
	if roles, ok := t.types[name]; ok {
		return roles
	}
	return Everyone
}

// MayRead tells whether the role may see an entity of this type, for look-ups
// such as node(id:) whose type is known only when they run.
func (t *Table) MayRead(role models.Role, typeName string) bool {
	return t.has(t.Type(typeName), role)
}

// May tells whether the role may select a field; a field or role that the
// schema has not is refused.
func (t *Table) May(role models.Role, typeName, fieldName string) bool {
	roles, ok := t.byName[typeName][fieldName]
	return ok && t.has(roles, role)
}

// Permissions are what a role may, as Type.field in alphabetical order: of the roots
// every field, of other types those that are more closed than their type.
func (t *Table) Permissions(role models.Role) []string {
	all := []string{}
	for name, fields := range t.byName {
		if strings.HasPrefix(name, "__") || !t.has(t.types[name], role) {
			continue
		}
		definition := t.schema.Types[name]
		root := definition == t.schema.Query || definition == t.schema.Mutation || definition == t.schema.Subscription
		for field, roles := range fields {
			if !strings.HasPrefix(field, "__") && t.has(roles, role) && (root || roles != t.types[name]) {
				all = append(all, name+"."+field)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (t *Table) has(set Roles, role models.Role) bool {
	bit := t.bit[role]
	return bit != 0 && set&bit != 0
}

func (t *Table) readTypes() error {
	for name, definition := range t.schema.Types {
		roles, err := t.allowed(definition.Directives)
		if err != nil {
			return fmt.Errorf("rights: type %s: %w", name, err)
		}
		t.types[name] = roles
	}
	// A page of what a role may not see tells how many there are: connections and
	// edges are as closed as what they hold.
	for name := range t.schema.Types {
		if node := t.nodeOf(name); node != "" {
			t.types[name] &= t.types[node]
		}
	}
	return nil
}

// nodeOf is the type that a connection or an edge holds, or "".
func (t *Table) nodeOf(name string) string {
	fields := t.schema.Types[name].Fields
	switch {
	case strings.HasSuffix(name, "Connection"):
		if nodes := fields.ForName("nodes"); nodes != nil {
			return nodes.Type.Name()
		}
	case strings.HasSuffix(name, "Edge"):
		if node := fields.ForName("node"); node != nil {
			return node.Type.Name()
		}
	}
	return ""
}

func (t *Table) readFields() error {
	for name, definition := range t.schema.Types {
		if definition.Kind != ast.Object && definition.Kind != ast.Interface {
			continue
		}
		t.byName[name] = make(map[string]Roles, len(definition.Fields))
		for _, field := range definition.Fields {
			own, err := t.allowed(field.Directives)
			if err != nil {
				return fmt.Errorf("rights: field %s.%s: %w", name, field.Name, err)
			}
			roles := own & t.types[name] & t.Type(field.Type.Name())
			t.byName[name][field.Name] = roles
		}
	}
	return nil
}

// checkInterfaces finds fields whose own @allow an interface would hide. What
// hides a whole type (node(id:) of a medical record) is asked of MayRead when
// the type is known.
func (t *Table) checkInterfaces() error {
	var faults []error
	for _, definition := range t.schema.Types {
		for _, name := range definition.Interfaces {
			for _, field := range t.schema.Types[name].Fields {
				own, _ := t.allowed(definition.Fields.ForName(field.Name).Directives)
				if t.byName[name][field.Name]&^own != 0 {
					faults = append(faults, fmt.Errorf("rights: %s.%s is restricted, %s.%s is not", definition.Name, field.Name, name, field.Name))
				}
			}
		}
	}
	return errors.Join(faults...)
}

func (t *Table) allowed(directives ast.DirectiveList) (Roles, error) {
	allow := directives.ForName("allow")
	if allow == nil {
		return Everyone, nil
	}
	list := allow.Arguments.ForName("roles")
	if list == nil || list.Value.Kind != ast.ListValue {
		return 0, errors.New("@allow needs a list of roles")
	}
	var set Roles
	for _, child := range list.Value.Children {
		bit, ok := t.bit[models.Role(child.Value.Raw)]
		if !ok {
			return 0, fmt.Errorf("@allow names %q, which is no role", child.Value.Raw)
		}
		set |= bit
	}
	return set, nil
}
