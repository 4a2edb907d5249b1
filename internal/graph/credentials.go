package graph

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A holder is what has secrets and certificates: an application, or a service principal.
type holder struct {
	id           directory.ObjectID
	app          directory.AppID
	owners       []directory.ObjectID
	secrets      []directory.Secret
	certificates []directory.Certificate
}

// addPassword makes a secret. It is the only answer that ever holds one.
func addPassword(c *call, of func(*directory.View) (holder, error)) (answer, error) {
	given, err := optionalBody(c)
	if err != nil {
		return answer{}, err
	}
	wanted := directory.NewSecret{}
	for _, one := range given {
		in := input{one.name, one.value}
		switch {
		case one.name != "passwordCredential":
			return answer{}, invalid(one.name, "Invalid property "+quote(one.name)+".")
		case one.value == nil:
		default:
			if wanted, err = readPassword(in); err != nil {
				return answer{}, err
			}
		}
	}
	var made object
	err = c.change(func(e *directory.Editor) error {
		at, err := of(e.View())
		if err != nil {
			return err
		}
		if err := c.owns(at.owners); err != nil {
			return err
		}
		made, err = makeSecret(c, e, at.id, wanted)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return result("passwordCredential", made), nil
}

// optionalBody is body for actions all of whose parameters can be left out.
func optionalBody(c *call) (body, error) {
	given, err := c.body()
	if err != nil && c.request.ContentLength == 0 {
		return nil, nil
	}
	return given, err
}

func removePassword(c *call, of func(*directory.View) (holder, error)) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	value := given.get("keyId")
	id, err := input{"keyId", value}.guid()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		at, err := of(e.View())
		if err != nil {
			return err
		}
		if err := c.owns(at.owners); err != nil {
			return err
		}
		if !slices.ContainsFunc(at.secrets, func(s directory.Secret) bool { return s.ID == id }) {
			return invalid("keyId", "No password credential found with keyId "+quote(id)+".")
		}
		return e.Credentials().Remove(c.tenant(), at.id, id)
	})
}

// rollsKeys is the permit for replacing keys by a proof: whoever holds a key of the object may,
// and who may change it, too. The proof is asked of all.
func rollsKeys() *permit {
	p := changesApplications()
	p.self = true
	return p
}

// mayRoll requires that the caller may change the holder's keys: it is the holder itself, or
// owns it, or has the permission for all.
func mayRoll(c *call, at holder) error {
	if c.caller.user == nil && c.caller.client.Principal.AppID == at.app {
		return nil
	}
	return c.owns(at.owners)
}

func addKey(c *call, of func(*directory.View) (holder, error)) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	value := given.get("keyCredential")
	key, err := readKey(input{"keyCredential", value})
	if err == nil && key.DER == nil {
		err = invalid("keyCredential.key", saysInvalid+" Property 'keyCredential.key' must be a certificate in base64.")
	}
	if err == nil {
		err = key.check()
	}
	if err != nil {
		return answer{}, err
	}
	if password := given.get("passwordCredential"); password != nil {
		return answer{}, invalid("passwordCredential", saysInvalid+" Key credentials with a password are not kept here: send null.")
	}
	var made object
	err = c.change(func(e *directory.Editor) error {
		at, err := proven(c, e, of, given)
		if err != nil {
			return err
		}
		certificate, err := e.Credentials().KeepCertificate(c.tenant(), at.id, key.NewCertificate)
		made = keyCredential(&certificate, nil)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return result("keyCredential", made), nil
}

func removeKey(c *call, of func(*directory.View) (holder, error)) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	value := given.get("keyId")
	id, err := input{"keyId", value}.guid()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		at, err := proven(c, e, of, given)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(at.certificates, func(k directory.Certificate) bool { return k.ID == id }) {
			return invalid("keyId", "No key credential found with keyId "+quote(id)+".")
		}
		return e.Credentials().Remove(c.tenant(), at.id, id)
	})
}

// proven returns the holder that the path names, once the caller has proven that it holds one
// of its keys.
func proven(c *call, e *directory.Editor, of func(*directory.View) (holder, error), given body) (holder, error) {
	at, err := of(e.View())
	if err != nil {
		return at, err
	}
	if err := mayRoll(c, at); err != nil {
		return at, err
	}
	value := given.get("proof")
	proof, err := input{"proof", value}.text()
	if err != nil {
		return at, err
	}
	if why := at.verify(proof, c.api.cfg.Now()); why != nil {
		return at, &problem{
			status: http.StatusForbidden, code: "Authentication_MissingOrMalformed",
			message: "Access Token missing or malformed. The proof does not count: " + why.Error() + ".",
		}
	}
	return at, nil
}

const (
	proofAudience = "00000002-0000-0000-c000-000000000000"
	proofLifetime = 10 * time.Minute
	proofSkew     = 5 * time.Minute // that clocks may differ
)

// verify checks a proof: a token that a key of the holder has signed, for this use and for a
// short time.
func (h holder) verify(proof string, now time.Time) error {
	parsed, err := token.Parse(proof, token.Limits{})
	if err != nil {
		return errors.New("it cannot be read as a signed token")
	}
	claim := func(name string) string {
		value, _ := parsed.Claims.Get(name)
		s, _ := value.String()
		return s
	}
	at := func(name string) (time.Time, bool) {
		value, _ := parsed.Claims.Get(name)
		seconds, ok := value.Integer()
		return time.Unix(seconds, 0), ok
	}
	from, hasFrom := at("nbf")
	until, hasUntil := at("exp")
	switch {
	case claim("aud") != proofAudience:
		return errors.New("its audience is not " + proofAudience)
	case claim("iss") != string(h.id):
		return errors.New("its issuer is not the object id " + string(h.id))
	case !hasFrom || !hasUntil:
		return errors.New("it does not say when it begins and ends (nbf, exp)")
	case until.Sub(from) > proofLifetime:
		return errors.New("it lasts longer than 10 minutes")
	case !now.Before(until.Add(proofSkew)) || now.Before(from.Add(-proofSkew)):
		return errors.New("it has expired, or does not count yet")
	}
	return h.verifySignature(parsed, now)
}

// verifySignature looks for the holder's certificate whose key has signed. A holder has few.
func (h holder) verifySignature(parsed *token.Token, now time.Time) error {
	header, _ := parsed.Header.Get("alg")
	algorithm, _ := header.String()
	if algorithm != "RS256" && algorithm != "PS256" {
		return errors.New("it is signed neither by RS256 nor by PS256")
	}
	for i := range h.certificates {
		one := &h.certificates[i]
		if one.Usage == directory.CertificateSign || now.Before(one.ValidFrom) || !now.Before(one.ValidUntil) {
			continue
		}
		certificate, err := x509.ParseCertificate(one.DER)
		if err == nil && parsed.Verify(algorithm, certificate.PublicKey) == nil {
			return nil
		}
	}
	return errors.New("no valid certificate of the object has signed it")
}
