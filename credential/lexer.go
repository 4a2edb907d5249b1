package credential

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxConnection bounds a connection string.
const maxConnection = 16 << 10

// A pair is one Key=Value part as it was written.
type pair struct{ key, value string }

// lexConnection splits a connection string by the rules of ADO.NET: Key=Value parts with
// semicolons between them, white space around keys and values dropped, = doubled in keys,
// values bare or in quotes, a quote doubled inside.
func lexConnection(text string) ([]pair, error) {
	if len(text) > maxConnection {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are plausible", len(text), maxConnection)
	}
	// Some callers hand over a C string.
	text = strings.TrimRightFunc(text, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })
	var pairs []pair
	for {
		text = strings.TrimLeftFunc(text, func(r rune) bool { return r == ';' || unicode.IsSpace(r) })
		if text == "" {
			return pairs, nil
		}
		var p pair
		var err error
		if p.key, text, err = lexKey(text); err == nil {
			p.value, text, err = lexValue(text)
		}
		if err != nil {
			return nil, fmt.Errorf("part %d %w", len(pairs)+1, err)
		}
		pairs = append(pairs, p)
	}
}

// lexKey reads up to the first single equals sign. It returns what follows that sign.
func lexKey(text string) (key, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '=' && strings.HasPrefix(text[i+1:], "="):
			b.WriteByte(c)
			i++
		case c == '=':
			key = strings.TrimSpace(b.String())
			if key == "" {
				return "", "", errors.New("has no key before the equals sign")
			}
			if strings.ContainsFunc(key, unicode.IsControl) {
				return "", "", errors.New("has a control character in its key")
			}
			return key, text[i+1:], nil
		case c == ';':
			return "", "", errors.New("is not of the form Key=Value; a value with a semicolon must stand in double quotes")
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("is not of the form Key=Value; a value with a semicolon must stand in double quotes")
}

// lexValue reads a value and returns what follows it, from the semicolon on.
func lexValue(text string) (value, rest string, err error) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	if text == "" || text[0] != '"' && text[0] != '\'' {
		return lexBare(text)
	}
	quote := text[:1]
	var b strings.Builder
	for text = text[1:]; ; {
		before, after, closed := strings.Cut(text, quote)
		if !closed {
			return "", "", fmt.Errorf("has a value without its closing %s", quote)
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, quote) {
			rest = strings.TrimLeftFunc(after, unicode.IsSpace)
			break
		}
		b.WriteString(quote)
		text = after[1:]
	}
	if rest != "" && rest[0] != ';' {
		return "", "", fmt.Errorf("goes on after the closing %s of its value; a quote inside is written twice", quote)
	}
	return b.String(), rest, nil
}

func lexBare(text string) (value, rest string, err error) {
	end := strings.IndexByte(text, ';')
	if end < 0 {
		end = len(text)
	}
	value = strings.TrimRightFunc(text[:end], unicode.IsSpace)
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return "", "", errors.New("has a control character in its value; put the value into double quotes")
	}
	if strings.HasSuffix(value, `"`) || strings.HasSuffix(value, "'") {
		return "", "", errors.New("has a value that ends with a quote and does not begin with one; put the value into quotes of the other kind")
	}
	return value, text[end:], nil
}
