package records

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// The bounds that the contract names; texts in characters, data in bytes.
const (
	longestTitle  = 300
	longestBody   = 100_000
	longestReason = 1_000
	mostCodes     = 50
	largestData   = 256 << 10
	deepestData   = 100
	longestNumber = 1_000
)

// icd10 is the form of a code, with or without its point, and with the mark of a
// cause (dagger) or of what it shows in (asterisk): J45, J450, S72.00XA, A17.0+, G01*.
var icd10 = regexp.MustCompile(`^([A-Z][0-9][0-9A-Z])\.?([0-9A-Z]{1,4})?([+*†])?$`)

// icd10Code writes a code as the classification prints it: J45.0, A17.0+.
func icd10Code(text string) (string, bool) {
	parts := icd10.FindStringSubmatch(strings.ToUpper(validate.Line(text)))
	if parts == nil || strings.HasSuffix(strings.TrimRight(parts[0], "+*†"), ".") {
		return "", false
	}
	code, mark := parts[1], strings.Replace(parts[3], "†", "+", 1)
	if parts[2] != "" {
		code += "." + parts[2]
	}
	return code + mark, true
}

// checkCodes gives the codes as they are printed, each once, in their order.
func checkCodes(in *validate.Input, codes []string) []string {
	if len(codes) > mostCodes {
		in.Add(models.UserErrorCodeLimit, "codes", fmt.Sprintf("there may be %d codes at most", mostCodes))
		return nil
	}
	seen := make(map[string]bool, len(codes))
	unique := make([]string, 0, len(codes))
	for i, code := range codes {
		code, ok := icd10Code(code)
		if !ok {
			in.AddAt(models.UserErrorCodeInvalid, []string{"codes", strconv.Itoa(i)}, "this is no ICD-10 code such as J45.0")
			continue
		}
		if !seen[code] {
			seen[code] = true
			unique = append(unique, code)
		}
	}
	return unique
}

// checkData gives the findings in canonical form, or nil for null, and refuses
// what jsonb could not hold.
func checkData(in *validate.Input, data models.JSON) models.JSON {
	if len(data) == 0 {
		return nil
	}
	value, err := parseJSON(data)
	if err != nil {
		in.Add(models.UserErrorCodeInvalid, "data", "this is no JSON value")
		return nil
	}
	if value == nil {
		return nil
	}
	size, fault := storedSize(value, deepestData)
	switch {
	case fault != "":
		in.Add(models.UserErrorCodeInvalid, "data", fault)
	case size > largestData:
		in.Add(models.UserErrorCodeTooLong, "data", fmt.Sprintf("this may take %d KB at most", largestData>>10))
	}
	return models.JSON(appendCanonical(nil, value))
}

// storedSize is how many bytes jsonb prints a value in, which is what the table
// bounds: it writes blanks after colons and commas, and 1e300 in full. A fault
// says what jsonb would refuse.
func storedSize(value any, depth int) (size int, fault string) {
	if depth == 0 {
		return 0, fmt.Sprintf("this is nested deeper than %d levels", deepestData)
	}
	switch v := value.(type) {
	case string:
		return storedString(v)
	case json.Number:
		size = parseNumber(string(v)).storedSize()
		if size > longestNumber {
			return 0, fmt.Sprintf("this holds a number of more than %d digits", longestNumber)
		}
		return size, ""
	case []any:
		size = separators(len(v))
		for _, element := range v {
			inner, fault := storedSize(element, depth-1)
			if fault != "" {
				return 0, fault
			}
			size += inner
		}
		return size, ""
	case map[string]any:
		size = separators(len(v))
		for key, element := range v {
			name, fault := storedString(key)
			if fault != "" {
				return 0, fault
			}
			inner, fault := storedSize(element, depth-1)
			if fault != "" {
				return 0, fault
			}
			size += name + len(": ") + inner
		}
		return size, ""
	}
	// null, true and false are printed as they are.
	return len(appendCanonical(nil, value)), ""
}

func storedString(text string) (size int, fault string) {
	if strings.ContainsRune(text, 0) {
		return 0, "this holds a NUL character, which no text can have"
	}
	return len(appendString(nil, text)), ""
}

// separators are the brackets, and the commas between so many elements.
func separators(elements int) int {
	return len("[]") + max(0, elements-1)*len(", ")
}

// storedSize is the length of the number printed without an exponent.
func (n number) storedSize() int {
	count, size := len(n.digits), 0
	switch {
	case count == 0:
		size = len("0")
	case n.point <= 0:
		size = len("0.") - n.point + count
	case n.point < count:
		size = count + len(".")
	default:
		size = n.point
	}
	if n.negative {
		size += len("-")
	}
	return size
}
