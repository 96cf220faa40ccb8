package operation

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/rights"
)

// A unit is a hundredth of the cost that clients see: @cost takes fractions.
const unit = 100

// ceiling is where costs stop growing, far below an overflow.
const ceiling = int64(1) << 50

// defaultSize is how long a list is taken to be that does not say.
const defaultSize = 10

// field is what the walk needs to know of a field, read once from the schema.
type field struct {
	roles rights.Roles
	// weight is the field's own cost and each that of one object it gives, in units.
	weight, each int64
	// list is whether it gives a list, and size how long that is taken to be.
	list bool
	size int64
	// slicing are the arguments that say how long: on the field's own list or,
	// where sizes is set, on the list fields of the object that it gives.
	slicing    []string
	requireOne bool
	sizes      bool
	// sized is whether some field's @listSize names it among its sizedFields.
	sized bool
	// lists are the arguments that take a list, arguments what each adds in units.
	lists     []string
	arguments map[string]int64
	// caching is how long what it gives may be kept, and for whom.
	caching caching
	// counted is false for introspection, which is bounded by cost alone.
	counted bool
}

// slicedBy tells that the answer's list is as long as the argument says or is.
func (f *field) slicedBy(argument string) bool { return slices.Contains(f.slicing, argument) }

func readFields(schema *ast.Schema, table *rights.Table) (map[*ast.FieldDefinition]*field, error) {
	fields := map[*ast.FieldDefinition]*field{}
	for _, definition := range schema.Types {
		switch definition.Kind {
		case ast.Object, ast.Interface:
			for _, fd := range definition.Fields {
				read, err := readField(schema, table, definition.Name, fd)
				if err == nil {
					read.caching, err = fieldCaching(schema, definition, fd)
				}
				if err != nil {
					return nil, fmt.Errorf("operation: %s.%s: %w", definition.Name, fd.Name, err)
				}
				fields[fd] = read
			}
		case ast.InputObject:
			for _, fd := range definition.Fields {
				if fd.Directives.ForName("cost") != nil {
					return nil, fmt.Errorf("operation: %s.%s: @cost of an input field is not counted; put it on the field or argument", definition.Name, fd.Name)
				}
			}
		case ast.Scalar, ast.Enum, ast.Union:
		}
	}
	for fd, info := range fields {
		if info.sizes {
			markSized(schema.Types[fd.Type.Name()], fd, fields)
		}
	}
	return fields, nil
}

func markSized(result *ast.Definition, fd *ast.FieldDefinition, fields map[*ast.FieldDefinition]*field) {
	list := fd.Directives.ForName("listSize").Arguments.ForName("sizedFields")
	for _, child := range list.Value.Children {
		if sized := result.Fields.ForName(child.Value.Raw); sized != nil {
			fields[sized].sized = true
		}
	}
}

func readField(schema *ast.Schema, table *rights.Table, parent string, fd *ast.FieldDefinition) (*field, error) {
	result := schema.Types[fd.Type.Name()]
	info := &field{
		roles: table.Field(parent, fd), list: fd.Type.Elem != nil, size: defaultSize,
		arguments: map[string]int64{}, counted: true,
	}
	var err error
	if info.weight, err = weightOf(fd.Directives, 0); err != nil {
		return nil, err
	}
	leaf := result.Kind == ast.Scalar || result.Kind == ast.Enum
	normal := int64(unit)
	if leaf {
		normal = 0
	}
	if info.each, err = weightOf(result.Directives, normal); err != nil {
		return nil, err
	}
	for _, argument := range fd.Arguments {
		if argument.Type.Elem != nil {
			info.lists = append(info.lists, argument.Name)
		}
		weight, err := weightOf(argument.Directives, 0)
		if err != nil {
			return nil, err
		}
		if weight != 0 {
			info.arguments[argument.Name] = weight
		}
	}
	if strings.HasPrefix(result.Name, "__") || strings.HasPrefix(parent, "__") {
		introspected(schema, info, fd.Name, leaf)
		return info, nil
	}
	return info, readListSize(info, fd)
}

// introspected weighs the schema's description of itself: it is answered from
// memory, so a tenth of other objects, but its lists multiply.
func introspected(schema *ast.Schema, info *field, name string, leaf bool) {
	info.counted = false
	if !leaf {
		info.each = unit / 10
	}
	switch name {
	case "types":
		info.size = int64(len(schema.Types))
	case "directives":
		info.size = int64(len(schema.Directives))
	case "args":
		info.size = 3
	case "interfaces":
		info.size = 1
	}
}

func readListSize(info *field, fd *ast.FieldDefinition) error {
	listSize := fd.Directives.ForName("listSize")
	if listSize == nil {
		return nil
	}
	if argument := listSize.Arguments.ForName("assumedSize"); argument != nil {
		size, err := strconv.ParseInt(argument.Value.Raw, 10, 32)
		if err != nil || size < 0 {
			return fmt.Errorf("@listSize(assumedSize: %s) is no whole number", argument.Value.Raw)
		}
		info.size = size
	}
	info.slicing = texts(listSize.Arguments.ForName("slicingArguments"))
	for _, name := range info.slicing {
		if fd.Arguments.ForName(name) == nil {
			return fmt.Errorf("@listSize names the argument %q, which the field has not", name)
		}
	}
	info.sizes = len(texts(listSize.Arguments.ForName("sizedFields"))) > 0
	// The directive's own default, as the specification has it, is true.
	require := listSize.Arguments.ForName("requireOneSlicingArgument")
	info.requireOne = len(info.slicing) > 0 && (require == nil || require.Value.Raw == "true")
	return nil
}

func texts(argument *ast.Argument) []string {
	if argument == nil {
		return nil
	}
	list := make([]string, 0, len(argument.Value.Children))
	for _, child := range argument.Value.Children {
		list = append(list, child.Value.Raw)
	}
	return slices.Clip(list)
}

func weightOf(directives ast.DirectiveList, otherwise int64) (int64, error) {
	cost := directives.ForName("cost")
	if cost == nil {
		return otherwise, nil
	}
	raw := cost.Arguments.ForName("weight").Value.Raw
	weight, err := strconv.ParseFloat(raw, 64)
	if err != nil || weight < 0 || weight > 1e6 {
		return 0, fmt.Errorf("@cost(weight: %q) is no number from 0 to a million", raw)
	}
	return int64(math.Round(weight * unit)), nil
}

func add(a, b int64) int64 { return min(a+b, ceiling) }

func times(a, b int64) int64 {
	if a != 0 && b > ceiling/a {
		return ceiling
	}
	return a * b
}
