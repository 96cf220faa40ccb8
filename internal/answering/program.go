package answering

import (
	"crypto/rand"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// Program is what answers: a schema, and how this build of TaskMed answers it.
// What one program kept another may not understand, or may answer differently.
type Program struct {
	// name stands for both. Who asks before the executable has been read, which goes
	// on beside the start, waits.
	name func() string
	// named is set once nobody has to wait for the name.
	named atomic.Bool
}

// NewProgram names this program, or one that a test has it pass for.
func NewProgram(schema *ast.Schema, build string) *Program {
	p := &Program{}
	p.name = sync.OnceValue(func() string {
		executable := build
		if executable == "" {
			executable = executableName()
		}
		var text strings.Builder
		formatter.NewFormatter(&text).FormatSchema(schema)
		text.WriteString(executable)
		sum := sha256.Sum256([]byte(text.String()))
		return hex.EncodeToString(sum[:])
	})
	go func() {
		p.name()
		p.named.Store(true)
	}()
	return p
}

// executableName tells the file that runs from any other. Versions and commits would
// not do: a build of a changed work tree has those of the one before.
var executableName = sync.OnceValue(func() string { //nolint:gochecknoglobals // there is one executable
	file, err := openExecutable()
	if err != nil {
		return unknown()
	}
	defer func() { _ = file.Close() }() // it was only read
	if id := buildID(file); id != "" {
		return id
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return unknown()
	}
	return string(sum.Sum(nil))
})

// unknown is the name of a program that does not know itself: it shares with nobody.
func unknown() string { return rand.Text() }

// buildID is what the Go command named an executable by all that it is made of, its own
// bytes included; "" if it did not, or the system has another form of executables. To
// read all of the file would take a tenth of a second of CPU beside each start.
func buildID(file io.ReaderAt) string {
	const header = 16 // a note's sizes and type, and whose it is
	program, err := elf.NewFile(file)
	if err != nil {
		return ""
	}
	section := program.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	if err != nil || len(note) <= header {
		return ""
	}
	id := strings.TrimRight(string(note[header:]), "\x00")
	if strings.Count(id, "/") != 3 { // a linker's flag may set anything
		return ""
	}
	return id
}

// openExecutable opens the file that runs, also where a deploy has put another in
// its place, as far as the system lets it.
func openExecutable() (*os.File, error) {
	if file, err := os.Open("/proc/self/exe"); err == nil {
		return file, nil
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(path) //nolint:gosec // the system says where the program is
}
