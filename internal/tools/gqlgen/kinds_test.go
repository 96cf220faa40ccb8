package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKinds_AreFoundWhereverTheyAreDeclared(t *testing.T) {
	t.Parallel()
	for name, planted := range map[string]struct {
		files []string
		names []string
		says  string
	}{
		"in two files": {[]string{`const KindB Kind = "b"`, `const ( KindA Kind = "a_b"; Other = "x" )`}, []string{"KindA", "KindB"}, ""},
		"one prefix twice": {
			[]string{`const KindB Kind = "x"`, `const KindA Kind = "x"`}, nil, `models.KindA and models.KindB have the same prefix "x"`,
		},
		"no prefix of an id": {[]string{`const KindB Kind = "Invoice-1"`}, nil, `models.KindB: "Invoice-1" is no prefix of a global id`},
		"an empty prefix":    {[]string{`const KindB Kind = ""`}, nil, `models.KindB: "" is no prefix of a global id`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i, text := range planted.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".go"), []byte("package models\n"+text), 0o600))
			}
			found, err := kinds(dir)
			if planted.says != "" {
				require.ErrorContains(t, err, planted.says)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, k := range found {
				names = append(names, k.name)
			}
			require.Equal(t, planted.names, names)
		})
	}
}
