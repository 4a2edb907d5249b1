package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // reads keys that others encrypted with it
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// errWrongPassword is what a wrong password looks like: bytes that are no key.
var errWrongPassword = errors.New("the password is not that of the encrypted key")

// maxIterations bounds the work that a file can ask for. Tools use a few thousand, careful
// people a million.
const maxIterations = 10_000_000

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 is PBES2-params (RFC 8018 appendix A.4).
type pbes2 struct{ Derivation, Encryption pkix.AlgorithmIdentifier }

// pbkdf2Parameters is PBKDF2-params (RFC 8018 appendix A.2).
type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 opens an ENCRYPTED PRIVATE KEY with its password: PBES2 with PBKDF2 and AES
// or triple DES, as OpenSSL and .NET write it.
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var sealed encryptedKey
	var scheme pbes2
	var how pbkdf2Parameters
	var iv []byte
	if err := exactly(der, &sealed); err != nil {
		return nil, err
	}
	if id := sealed.Algorithm.Algorithm.String(); id != "1.2.840.113549.1.5.13" {
		return nil, encryptedOtherwise(id)
	}
	if err := exactly(sealed.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	if id := scheme.Derivation.Algorithm.String(); id != "1.2.840.113549.1.5.12" {
		return nil, encryptedOtherwise(id)
	}
	if err := exactly(scheme.Derivation.Parameters.FullBytes, &how); err != nil {
		return nil, err
	}
	if err := exactly(scheme.Encryption.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	size, block, err := blockCipher(scheme.Encryption.Algorithm.String())
	if err != nil {
		return nil, err
	}
	prf, err := pseudorandom(how.PRF.Algorithm.String())
	if err != nil {
		return nil, err
	}
	if how.Iterations < 1 || how.Iterations > maxIterations || how.KeyLength != 0 && how.KeyLength != size {
		return nil, errors.New("its encryption has parameters that none has")
	}
	key, err := pbkdf2.Key(prf, password, how.Salt, how.Iterations, size)
	if err != nil {
		return nil, err
	}
	by, err := block(key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(by, iv, sealed.Data)
}

// exactly reads one value of DER with nothing after it.
func exactly(der []byte, value any) error {
	if rest, err := asn1.Unmarshal(der, value); err != nil || len(rest) > 0 {
		return errors.New("it is not an encrypted key in PKCS#8")
	}
	return nil
}

func encryptedOtherwise(id string) error {
	return fmt.Errorf("its encryption (%s) is not known; write it anew with openssl pkcs8 -topk8 -v2 aes-256-cbc", id)
}

func blockCipher(id string) (keySize int, made func([]byte) (cipher.Block, error), err error) {
	switch id {
	case "2.16.840.1.101.3.4.1.2":
		return 16, aes.NewCipher, nil
	case "2.16.840.1.101.3.4.1.22":
		return 24, aes.NewCipher, nil
	case "2.16.840.1.101.3.4.1.42":
		return 32, aes.NewCipher, nil
	case "1.2.840.113549.3.7":
		return 24, des.NewTripleDESCipher, nil
	}
	return 0, nil, encryptedOtherwise(id)
}

// pseudorandom returns the hash of PBKDF2's HMAC, which is SHA-1 when none is named.
func pseudorandom(id string) (func() hash.Hash, error) {
	switch id {
	case "", "1.2.840.113549.2.7":
		return sha1.New, nil
	case "1.2.840.113549.2.8":
		return sha256.New224, nil
	case "1.2.840.113549.2.9":
		return sha256.New, nil
	case "1.2.840.113549.2.10":
		return sha512.New384, nil
	case "1.2.840.113549.2.11":
		return sha512.New, nil
	}
	return nil, encryptedOtherwise(id)
}

// decryptCBC decrypts and takes off the padding (RFC 8018 section 6.1.1).
func decryptCBC(by cipher.Block, iv, data []byte) ([]byte, error) {
	size := by.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("it is not an encrypted key in PKCS#8")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(by, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > size {
		return nil, errWrongPassword
	}
	for _, b := range plain[len(plain)-padding:] {
		if int(b) != padding {
			return nil, errWrongPassword
		}
	}
	return plain[:len(plain)-padding], nil
}
