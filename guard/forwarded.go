package guard

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"strings"
)

// maxForwarded bounds a header with a certificate, in bytes.
const maxForwarded = 32 << 10

// ForwardedCertificate returns the client certificate (DER) that a proxy at
// which TLS ends has put into a header, for [Request.Certificate]. It reads what
// proxies write: PEM, URL-encoded or not (nginx, Envoy's ext_authz), base64 of
// DER (App Service, Traefik), X-Forwarded-Client-Cert of Envoy with Cert, and
// Client-Cert of RFC 9440. Of a chain it is the first.
//
// What is read is worth as much as the proxy: it has to remove the header from
// what clients send, and nobody may reach the API but by way of it.
func ForwardedCertificate(value string) (der []byte, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxForwarded {
		return nil, false
	}
	switch {
	case value[0] == ':':
		der, ok = decodeDER(strings.TrimSuffix(value[1:], ":"))
		ok = ok && len(value) > 1 && value[len(value)-1] == ':'
	case strings.Contains(value, "="+`"`) || strings.Contains(strings.ToLower(value), "hash="):
		der, ok = envoyCertificate(value)
	default:
		der, ok = plainCertificate(value)
	}
	if !ok {
		return nil, false
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil || len(certificate.Raw) != len(der) {
		return nil, false
	}
	return der, true
}

// plainCertificate reads PEM, or base64 of DER, URL-encoded or not.
func plainCertificate(value string) (der []byte, ok bool) {
	if strings.Contains(value, "%") {
		unescaped, err := url.PathUnescape(value) // a plus sign is one of base64
		if err != nil {
			return nil, false
		}
		value = unescaped
	}
	if strings.HasPrefix(value, "-----BEGIN") {
		block, rest := pem.Decode([]byte(value))
		more := strings.TrimSpace(string(rest)) // the rest of a chain, or nothing
		ok = block != nil && block.Type == "CERTIFICATE" && (more == "" || strings.HasPrefix(more, "-----BEGIN"))
		if !ok {
			return nil, false
		}
		return block.Bytes, true
	}
	first, _, _ := strings.Cut(value, ",") // Traefik joins a chain so
	return decodeDER(first)
}

func decodeDER(text string) (der []byte, ok bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	return der, err == nil && len(der) > 0
}

// envoyCertificate reads X-Forwarded-Client-Cert: members of one element,
// name=value, with semicolons between them. Of several elements nobody can tell
// which the nearest proxy has added.
func envoyCertificate(value string) (der []byte, ok bool) {
	found := ""
	for rest := value; rest != ""; {
		name, after, isMember := strings.Cut(rest, "=")
		if !isMember {
			return nil, false
		}
		var text string
		if text, rest, ok = envoyValue(after); !ok {
			return nil, false
		}
		if strings.EqualFold(name, "Cert") {
			if found != "" || text == "" {
				return nil, false
			}
			found = text
		}
	}
	if found == "" {
		return nil, false
	}
	return plainCertificate(found)
}

// envoyValue takes the value of a member, which may stand in quotes, off the
// rest of an element.
func envoyValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, `;,"`)
		switch {
		case end < 0:
			return text, "", true
		case text[end] == ';':
			return text[:end], text[end+1:], true
		}
		return "", "", false // another element
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
			b.WriteByte(text[i])
		case '"':
			rest = text[i+1:]
			if rest == "" {
				return b.String(), "", true
			}
			return b.String(), rest[1:], rest[0] == ';'
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}
