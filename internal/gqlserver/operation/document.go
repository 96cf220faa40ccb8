package operation

import (
	"fmt"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/taskmed/taskmed/internal/fingerprint"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

// Checker checks operations against one schema. It is safe for concurrent use.
type Checker struct {
	schema *ast.Schema
	rights *rights.Table
	limits Limits
	fields map[*ast.FieldDefinition]*field
	rules  *rules.Rules
	leaves map[string]leaf
	// documents are those that passed, by their text.
	documents *otter.Cache[string, *Document]
	// bits gives each role its place among an operation's verdicts.
	bits map[models.Role]int
}

// longestKept is the longest text of a document that is kept, in bytes: longer
// ones have data written into them and do not come again.
const longestKept = 16 << 10

// New makes a Checker. It fails if the schema's @cost or @listSize cannot be
// read, and for a scalar of which nobody says how its values are.
func New(schema *ast.Schema, table *rights.Table, limits Limits) (*Checker, error) {
	limits = limits.WithDefaults()
	fields, err := readFields(schema, table)
	if err != nil {
		return nil, err
	}
	leaves, err := readLeaves(schema)
	if err != nil {
		return nil, err
	}
	documents, err := otter.New(&otter.Options[string, *Document]{
		MaximumWeight: limits.CacheBytes,
		Weigher:       func(text string, d *Document) uint32 { return uint32(len(text)) + d.weight },
	})
	if err != nil {
		return nil, fmt.Errorf("operation: document cache: %w", err)
	}
	c := &Checker{
		schema: schema, rights: table, limits: limits, fields: fields,
		rules: rulesWithoutSuggestions(), leaves: leaves, documents: documents, bits: map[models.Role]int{},
	}
	for i, role := range table.Roles() {
		c.bits[role] = i
	}
	return c, nil
}

// Document is a parsed and validated document. It is shared: do not change it.
type Document struct {
	AST        *ast.QueryDocument
	mark       fingerprint.Fingerprint
	text       string
	kept       atomic.Bool
	operations []*Operation
	fragments  map[string]*ast.FragmentDefinition
	weight     uint32
}

// Operation is one of a document's operations.
type Operation struct {
	Definition *ast.OperationDefinition
	document   *Document
	arguments  arguments
	// verdicts are kept per role where no variable has a say.
	verdicts []atomic.Pointer[Verdict]
	// subscribed is kept once it was asked for.
	subscribed atomic.Pointer[Subscribed]
}

// Print names the operation's document by its tokens.
func (o *Operation) Print() fingerprint.Fingerprint { return o.document.mark }

// Document parses, bounds and validates a document, or finds it among those
// that passed before. Faults carry GRAPHQL_PARSE_FAILED or GRAPHQL_VALIDATION_FAILED.
func (c *Checker) Document(text string) (*Document, gqlerror.List) {
	if document, ok := c.documents.GetIfPresent(text); ok {
		return document, nil
	}
	if len(text) > c.limits.TextBytes {
		return nil, gqlerror.List{Fault(ParseFailed, nil, "the document has %d bytes; %d at most", len(text), c.limits.TextBytes)}
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, c.limits.Tokens)
	if err != nil {
		return nil, gqlerror.List{parseFault(err)}
	}
	if doc == nil || len(doc.Operations) == 0 {
		return nil, gqlerror.List{Fault(ParseFailed, nil, "the document has no operation")}
	}
	nodes, fault := checkShape(c.limits, doc)
	if fault != nil {
		return nil, gqlerror.List{fault}
	}
	if list := validator.ValidateWithRules(c.schema, doc, c.rules); len(list) > 0 {
		return nil, validationFaults(list)
	}
	known, list := c.readArguments(doc)
	if len(list) > 0 {
		return nil, list
	}
	mark, err := fingerprint.Of(text)
	if err != nil { // It was parsed, so its tokens can be read.
		return nil, gqlerror.List{parseFault(err)}
	}
	document := c.newDocument(text, mark, doc, nodes)
	for i, operation := range document.operations {
		operation.arguments = known[i]
	}
	return document, nil
}

// keep puts a document among the known ones, once an operation of it was
// admitted: what is refused for its cost must not push out what is used.
func (c *Checker) keep(document *Document) {
	if len(document.text) <= longestKept && !document.kept.Swap(true) {
		c.documents.Set(document.text, document)
	}
}

func (c *Checker) newDocument(text string, mark fingerprint.Fingerprint, doc *ast.QueryDocument, nodes int) *Document {
	// About what a selection takes with its arguments and positions.
	const bytesPerNode = 700
	d := &Document{
		AST: doc, mark: mark, text: text, weight: uint32(nodes) * bytesPerNode,
		fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments)),
	}
	for _, fragment := range doc.Fragments {
		d.fragments[fragment.Name] = fragment
	}
	for _, definition := range doc.Operations {
		d.operations = append(d.operations, &Operation{
			Definition: definition, document: d,
			verdicts: make([]atomic.Pointer[Verdict], len(c.bits)),
		})
	}
	return d
}

// Operation finds the one to run: by its name, or the only one where no name is given.
func (d *Document) Operation(name string) (*Operation, *gqlerror.Error) {
	if name == "" {
		if len(d.operations) == 1 {
			return d.operations[0], nil
		}
		return nil, Fault(ValidationFailed, nil, "the document has %d operations: say which by operationName", len(d.operations))
	}
	for _, operation := range d.operations {
		if operation.Definition.Name == name {
			return operation, nil
		}
	}
	return nil, Fault(ValidationFailed, nil, "the document has no operation of that name")
}

// rulesWithoutSuggestions are the specification's rules. Suggestions cost time
// by the size of the schema, and tell of what the asker did not know.
func rulesWithoutSuggestions() *rules.Rules {
	return rules.NewRules(
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		rules.KnownRootTypeRule,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.SingleFieldSubscriptionsRule,
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
	)
}
