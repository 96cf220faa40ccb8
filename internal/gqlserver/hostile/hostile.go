// Package hostile has documents that are cheap to send and dear to answer, for
// the tests of every way in which a document reaches the server.
package hostile

import (
	"fmt"
	"strings"
)

// Document is one of them. All are refused.
type Document struct {
	Name, Text string
	// InURL is whether it is short enough to be sent by GET.
	InURL bool
}

// Documents are written against TaskMed's own schema, so that none is refused
// for an unknown field before its weight is felt.
func Documents() []Document {
	list := []Document{
		{Name: "10,000 aliases", Text: "{" + number(10_000, "a%d: viewer { subject } ") + "}"},
		{Name: "200 aliases", Text: "{ viewer {" + number(200, "a%d: subject ") + "} }"},
		{Name: "200 aliases through a fragment", Text: "{ viewer { ...F } } fragment F on Viewer {" + number(200, "a%d: subject ") + "}"},
		{Name: "fragments that double", Text: doubling(14)},
		{Name: "fragments that double under aliases", Text: doublingAliases(13)},
		{Name: "fragments that multiply by eight", Text: multiplying(8, 12)},
		{Name: "a fragment in itself", Text: "{ viewer { ...F } } fragment F on Viewer { clinic { id } ...F }"},
		{Name: "fragments in a circle", Text: "{ contact(id: \"x\") { ...A } } fragment A on Contact { ...B } fragment B on Contact { ...C } fragment C on Contact { appointments { nodes { contact { ...A } } } }"},
		{Name: "28,700 tokens of duplicate fields", Text: "{" + strings.Repeat("viewer{subject name role}", 4100) + "}"},
		{Name: "1,900 tokens of duplicate fields", Text: "{" + strings.Repeat("clinic ", 1900) + "}"},
		{Name: "duplicate fields in a tree", Text: "{ contact(id: 1) {" + tree(7) + "} }"},
		{Name: "duplicates through inline fragments", Text: "{ viewer {" + strings.Repeat("... { subject } ", 90) + "} }"},
		{Name: "directives on one field", Text: "{ viewer { subject " + strings.Repeat("@include(if: true) ", 190) + "} }"},
		{Name: "unknown directives", Text: "{ viewer { subject " + strings.Repeat("@x ", 900) + "} }"},
		{Name: "1,000 levels", Text: nested(990)},
		{Name: "16 levels", Text: nested(8)},
		{Name: "inline fragments 600 deep", Text: "{" + strings.Repeat("...{", 600) + "__typename" + strings.Repeat("}", 600) + "}"},
		{Name: "lists 900 deep", Text: "{ nodes(ids: " + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ") { id } }"},
		{Name: "objects 400 deep", Text: "{ contacts(filter: " + strings.Repeat("{a:", 400) + "1" + strings.Repeat("}", 400) + ") { totalCount } }"},
		{Name: "circular introspection", Text: introspection(6)},
		{Name: "introspection times 90", Text: "{" + number(45, "a%d: __schema { types { fields { args { type { ofType { ofType { name } } } } type { name fields { name } } } } } ") + "}"},
		{Name: "300 operations", Text: number(300, "query Q%d { __typename } ")},
		{Name: "operations times fragments", Text: number(19, "query Q%d { viewer { ...F0 } } ") + chain(45, 9, " subject")},
		{Name: "200 fragments that are not used", Text: "{ __typename }" + number(200, " fragment F%d on Viewer { subject }")},
		{Name: "every pair of 50 fragments", Text: "{ viewer {" + number(50, "...F%d ") + "} }" + number(50, " fragment F%d on Viewer { subject name role subject name role subject name role }")},
		{Name: "60 root fields", Text: "{" + number(60, "a%d: clinic { id } ") + "}"},
		{Name: "11 mutations", Text: "mutation {" + number(11, "a%d: archiveContact(input: {id: \"x\"}) { contact { id } } ") + "}"},
		{Name: "150 variables", Text: "query(" + number(150, "$v%d: ID! ") + ") { __typename }"},
		{Name: "variables by variables", Text: "query(" + number(200, "$v%d: ID ") + ") { nodes(ids: [" + number(200, "$v%d ") + "]) { id } }"},
		{Name: "1 MB of white space", Text: "{ viewer {" + strings.Repeat(" \n\t,", 250_000) + "nothing } }"},
		{Name: "1 MB of comments", Text: strings.Repeat("#\n", 500_000) + "{ __typename }"},
		{Name: "1 MB in one name", Text: "{ " + strings.Repeat("a", 1_000_000) + " }"},
		{Name: "250 KB in one unknown name", Text: "{ " + strings.Repeat("a", 250_000) + " }"},
		{Name: "250 KB of escapes in one text", Text: "{ contact(id: \"" + strings.Repeat(`\u00e9`, 41_000) + "\", x: 1) { id } }"},
		{Name: "250 KB of lines in a block text", Text: "{ contact(id: \"\"\"" + strings.Repeat("\n a", 82_000) + "\"\"\", x: 1) { id } }"},
		{Name: "pages of pages of pages", Text: "{ contacts(first: 100) { nodes { appointments(first: 100) { nodes { contact { appointments(first: 100) { nodes { id } } } } } } } }"},
		{Name: "first: 99999999", Text: "{ contacts(first: 99999999) { nodes { id } } }"},
		{Name: "101 ids", Text: "{ nodes(ids: [" + strings.Repeat(`"x" `, 101) + "]) { id } }"},
		{Name: "unknown fields", Text: "{ viewer {" + number(950, "subjekt%d ") + "} }"},
		{Name: "unknown enum values", Text: "{ contacts(filter: {status: [" + strings.Repeat("ACTIF ", 1800) + "]}) { totalCount } }"},
		// What follows keeps just below the limits and is refused by the last rule that runs.
		{Name: "50 duplicates in a tree", Text: "{ contact(id: 1) { " + tree(4) + " id id id id id id id id id id id id id id nothing } }"},
		{Name: "49 times the same field with fields", Text: "{ " + strings.Repeat("contact(id: 1) { id name email phone taxId status tags source notes version createdAt updatedAt } ", 49) + " nothing }"},
		{Name: "fragments compared in pairs", Text: "{ viewer {" + number(49, "...F%d ") + " nothing } }" + number(49, " fragment F%d on Viewer { subject name role clinic { id name slug timeZone currency createdAt updatedAt } memberships { role clinic { id name slug timeZone } } }")},
		{Name: "fragments compared in pairs, each under its own field", Text: pairs(24)},
		{Name: "fragments that lead to all that follow", Text: "{ viewer { ...F0 nothing } }" + chain(20, 1, " subject name role clinic { id name slug timeZone currency createdAt updatedAt }")},
		{Name: "19 operations that lead to all fragments", Text: number(19, "query Q%d { viewer { ...F0 } } ") + " query Z { nothing }" + chain(10, 1, " subject name role clinic { id name slug timeZone currency createdAt updatedAt }")},
		{Name: "100 variables used ten times", Text: "query(" + number(100, "$v%d: ID ") + ") { " + strings.Repeat("nodes(ids: ["+number(100, "$v%d ")+"]) { id } ", 5) + " nothing }"},
		{Name: "not closed", Text: strings.Repeat("{a", 600)},
		{Name: "a NUL", Text: "{ viewer\x00 }"},
		{Name: "nothing", Text: "   "},
	}
	for i := range list {
		list[i].InURL = len(list[i].Text) < 6000
	}
	return list
}

func number(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

// doubling has each fragment spread the next one twice: 2^n fields.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{ node(id: \"x\") { ...F0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Appointment { contact { lastAppointment { ...F%d } nextAppointment { ...F%d } } }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Appointment { id }", n)
	return b.String()
}

func doublingAliases(n int) string {
	var b strings.Builder
	b.WriteString("{ node(id: \"x\") { ... on MedicalRecord { ...F0 } } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on MedicalRecord { a: amends { ...F%d } b: amends { ...F%d } c: amendedBy { ...F%d } }", i, i+1, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on MedicalRecord { id }", n)
	return b.String()
}

// multiplying keeps to one level, so that depth does not stop it.
func multiplying(times, n int) string {
	var b strings.Builder
	b.WriteString("{ viewer { ...F0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Viewer {", i)
		b.WriteString(strings.Repeat(fmt.Sprintf(" ...F%d", i+1), times))
		b.WriteString(" }")
	}
	fmt.Fprintf(&b, " fragment F%d on Viewer { nothing }", n)
	return b.String()
}

func tree(depth int) string {
	if depth == 0 {
		return "lastAppointment { id }"
	}
	below := "lastAppointment { contact { " + tree(depth-1) + " } }"
	return below + " " + below
}

func nested(levels int) string {
	open := "{ contact(id: \"x\") {" + strings.Repeat(" nextAppointment { contact {", levels)
	return open + " id " + strings.Repeat("} }", levels) + " } }"
}

func introspection(levels int) string {
	return "{ __schema { types {" + strings.Repeat(" fields { type {", levels) + " name " + strings.Repeat("} }", levels) + " } } }"
}

// chain has each fragment lead to all that follow.
func chain(n, times int, fields string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Viewer {", i)
		b.WriteString(strings.Repeat(fields, times))
		if i < n-1 {
			fmt.Fprintf(&b, " ...F%d", i+1)
		}
		b.WriteString(" }")
	}
	return b.String()
}

// pairs has two selections of one field, each with its own half of the fragments.
func pairs(n int) string {
	var left, right strings.Builder
	for i := range n {
		fmt.Fprintf(&left, " ...L%d", i)
		fmt.Fprintf(&right, " ...R%d", i)
	}
	text := "{ viewer { clinic {" + left.String() + " } clinic {" + right.String() + " } nothing } }"
	const fields = " on Clinic { id name slug timeZone currency createdAt updatedAt practitioners { nodes { id name active workingHours { weekday } } } }"
	return text + number(n, " fragment L%d"+fields) + number(n, " fragment R%d"+fields)
}
