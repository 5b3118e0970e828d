package probe

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/mapwarden/mapwarden/internal/health"
)

// authorized returns the check's probe with the header that shows its
// credential, or completes the observation and returns false. A credential
// goes only where the policy names what may be probed: whoever can register an
// instance chooses an address, and would be told the secret otherwise.
func (a *attempt) authorized() (health.Probe, bool) {
	pr := a.target.Check.Probe
	if pr.Credential.Scheme == health.NoCredential {
		return pr, true
	}
	if len(a.p.policy.Load().Allow) == 0 {
		a.cannotTell(health.AddressRefused, "a credential is sent only to addresses that targets.allow names")
		return pr, false
	}
	value, err := a.p.files.authorization(pr.Credential)
	if err != nil {
		a.cannotTell(health.LocalFault, "credential: "+err.Error())
		return pr, false
	}
	pr.Headers = append(pr.Headers[:len(pr.Headers):len(pr.Headers)], health.Header{Name: "Authorization", Value: value})
	return pr, true
}

// authorization is the value of the header that shows a credential.
func (f *files) authorization(c health.Credential) (string, error) {
	return have(f, c.Scheme.String(), func() (string, error) {
		text, err := readFile(c.File, true)
		if err != nil {
			return "", err
		}
		secret := strings.TrimRight(string(text), "\r\n")
		if !isVisible(secret) && (c.Scheme != health.Basic || !isText(secret)) {
			return "", fmt.Errorf("%s does not hold one line with a %s credential", c.File, c.Scheme)
		}
		if c.Scheme == health.Bearer {
			return "Bearer " + secret, nil
		}
		if !strings.Contains(secret, ":") {
			return "", fmt.Errorf("%s does not hold USER:PASSWORD", c.File)
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)), nil
	}, c.File)
}

func isText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
