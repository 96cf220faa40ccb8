package main

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

const libraryPackage = "github.com/99designs/gqlgen/graphql"

// got is the Go expression of a field's value.
func got(field *codegen.Field) string {
	call := ""
	if field.IsMethod() {
		call = "()"
	}
	return fmt.Sprintf("object.(%s).%s%s", ref(field.Object.Reference()), field.GoFieldName, call)
}

// leaf writes the closure that appends a leaf.
func leaf(field *codegen.Field) (string, error) {
	body, err := appended(field.TypeReference, "v", "b", 0)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("func(b []byte, object any) ([]byte, bool) {\nv := %s\n%sreturn b, true\n}", got(field), body), nil
}

// appended writes the statements that append a value to b as gqlgen's own
// marshaler of the type does, or return b and false for what it would refuse.
func appended(of *config.TypeReference, value, b string, depth int) (string, error) {
	if of.GQL.Elem != nil {
		return appendedList(of, value, b, depth)
	}
	refused := "return " + b + ", false\n"
	scalar, err := appendedScalar(of, value, b)
	if err != nil {
		return "", err
	}
	if !of.IsNilable() {
		return scalar, nil
	}
	if of.GQL.NonNull {
		return fmt.Sprintf("if %s == nil {\n%s}\n%s", value, refused, scalar), nil
	}
	return fmt.Sprintf("if %s == nil {\n%s = append(%s, \"null\"...)\n} else {\n%s}\n", value, b, b, scalar), nil
}

func appendedList(of *config.TypeReference, value, b string, depth int) (string, error) {
	if !of.IsSlice() {
		return "", fmt.Errorf("the Go type of a list is a slice, not %s", of.GO)
	}
	i, element := "i"+strconv.Itoa(depth), "v"+strconv.Itoa(depth)
	each, err := appended(of.Elem(), element, b, depth+1)
	if err != nil {
		return "", err
	}
	items := fmt.Sprintf("%[1]s = append(%[1]s, '[')\nfor %[2]s, %[3]s := range %[4]s {\nif %[2]s > 0 {\n%[1]s = append(%[1]s, ',')\n}\n%[5]s}\n%[1]s = append(%[1]s, ']')\n",
		b, i, element, value, each)
	if of.GQL.NonNull {
		return items, nil
	}
	return fmt.Sprintf("if %s == nil {\n%s = append(%s, \"null\"...)\n} else {\n%s}\n", value, b, b, items), nil
}

func appendedScalar(of *config.TypeReference, value, b string) (string, error) {
	if of.IsPtrToPtr() || of.IsPtrToSlice() || of.IsPtrToIntf() {
		return "", fmt.Errorf("no appender is known for %s", of.GO)
	}
	if of.IsMarshaler {
		return appendedMarshaler(of, value, b)
	}
	if of.Marshaler == nil || of.HasEnumValues() {
		return "", fmt.Errorf("no appender is known for %s as %s", of.GQL, of.GO)
	}
	switch {
	case of.IsTargetNilable() && !of.IsNilable():
		value = "&" + value
	case !of.IsTargetNilable() && of.IsNilable():
		value = "*" + value
	}
	if of.CastType != nil {
		value = fmt.Sprintf("%s(%s)", reference(of.CastType), value)
	}
	if of.Marshaler.Pkg().Path() == libraryPackage {
		if known := appendedByLibrary(of.Marshaler.Name(), value, b); known != "" {
			return known, nil
		}
	}
	if of.IsContext {
		return "", fmt.Errorf("no appender is known for %s, which wants a context", of.Marshaler.FullName())
	}
	name := "Append" + strings.TrimPrefix(of.Marshaler.Name(), "Marshal")
	if of.Marshaler.Pkg().Scope().Lookup(name) != nil {
		return fmt.Sprintf("%s = %s(%s, %s)\n", b, qualified(of.Marshaler.Pkg(), name), b, value), nil
	}
	return written(fmt.Sprintf("%s(%s)", qualified(of.Marshaler.Pkg(), of.Marshaler.Name()), value), b), nil
}

func appendedMarshaler(of *config.TypeReference, value, b string) (string, error) {
	if of.IsContext {
		return "", fmt.Errorf("no appender is known for %s, which wants a context", of.GO)
	}
	bare := of.GO
	if pointer, ok := bare.(*types.Pointer); ok {
		bare = pointer.Elem()
	}
	if method, _, _ := types.LookupFieldOrMethod(bare, true, nil, "AppendGQL"); method != nil {
		return fmt.Sprintf("%s = %s.AppendGQL(%s)\n", b, value, b), nil
	}
	basic, ok := bare.Underlying().(*types.Basic)
	if of.Definition.Kind == ast.Enum && ok && basic.Kind() == types.String {
		if of.IsNilable() {
			value = "*" + value
		}
		return fmt.Sprintf("%s = objects.AppendEnum(%s, string(%s))\n", b, b, value), nil
	}
	return written(value, b), nil
}

// appendedByLibrary appends what a marshaler of gqlgen's writes.
func appendedByLibrary(name, value, b string) string {
	switch name {
	case "MarshalString", "MarshalID":
		return fmt.Sprintf("%s = objects.AppendString(%s, %s)\n", b, b, value)
	case "MarshalInt", "MarshalInt8", "MarshalInt16", "MarshalInt32", "MarshalInt64":
		return fmt.Sprintf("%s = strconv.AppendInt(%s, int64(%s), 10)\n", b, b, value)
	case "MarshalUint", "MarshalUint8", "MarshalUint16", "MarshalUint32", "MarshalUint64":
		return fmt.Sprintf("%s = strconv.AppendUint(%s, uint64(%s), 10)\n", b, b, value)
	case "MarshalBoolean":
		return fmt.Sprintf("%s = strconv.AppendBool(%s, %s)\n", b, b, value)
	case "MarshalFloatContext":
		return fmt.Sprintf("if out, ok := objects.AppendFloat(%[1]s, %[2]s); ok {\n%[1]s = out\n} else {\nreturn %[1]s, false\n}\n", b, value)
	}
	return ""
}

// written appends what any Marshaler writes.
func written(marshaler, b string) string {
	return fmt.Sprintf("if out, ok := objects.AppendMarshaler(%[1]s, %[2]s); ok {\n%[1]s = out\n} else {\nreturn %[1]s, false\n}\n", b, marshaler)
}

// part writes the closure that gives a part of the Go value.
func part(field *codegen.Field) (string, error) {
	how, err := pointed(field)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("func(object any) any {\nv := %s\n%s}", got(field), how), nil
}

// pointed writes the statements that return a part: a pointer, an interface's
// value or a slice; an untyped nil for null.
func pointed(field *codegen.Field) (string, error) {
	const orNil = "if v == nil {\nreturn nil\n}\nreturn v\n"
	of := field.TypeReference
	if isList(field) {
		if !of.IsSlice() {
			return "", fmt.Errorf("the Go type of a list is a slice, not %s", of.GO)
		}
		if _, err := lister(field); err != nil {
			return "", err
		}
		if of.GQL.NonNull {
			return "return v\n", nil
		}
		return orNil, nil
	}
	switch goType := of.GO.(type) {
	case *types.Pointer:
		if _, ok := goType.Elem().Underlying().(*types.Struct); ok {
			return orNil, nil
		}
	default:
		if types.IsInterface(of.GO) {
			return orNil, nil
		}
		if of.IsStruct() {
			return "return &v\n", nil
		}
	}
	return "", fmt.Errorf("the Go type of an object is a struct or a pointer to one, not %s", of.GO)
}

// list writes Elements, Length and At of a list of objects.
func list(field *codegen.Field) (string, error) { return lister(field) }

func lister(field *codegen.Field) (string, error) {
	slice, ok := field.TypeReference.GO.(*types.Slice)
	if !ok {
		return "", fmt.Errorf("the Go type of a list is a slice, not %s", field.TypeReference.GO)
	}
	element := slice.Elem()
	length, at := "objects.Length["+reference(element)+"]", ""
	pointer, isPointer := element.(*types.Pointer)
	switch {
	case isPointer:
		at = "objects.PointerAt[" + reference(pointer.Elem()) + "]"
	case types.IsInterface(element):
		at = "objects.InterfaceAt[" + reference(element) + "]"
	default:
		at = "objects.ValueAt[" + reference(element) + "]"
	}
	return fmt.Sprintf("Elements: objects.Elements(%[1]s, %[2]s),\nLength: %[1]s,\nAt: %[2]s,", length, at), nil
}

// reference is a type's name in the file being written; outside of a template
// nobody reads it.
func reference(t types.Type) string {
	if templates.CurrentImports == nil {
		return t.String()
	}
	return ref(t)
}

func qualified(pkg *types.Package, name string) string {
	if templates.CurrentImports == nil {
		return name
	}
	return templates.CurrentImports.Lookup(pkg.Path()) + "." + name
}
