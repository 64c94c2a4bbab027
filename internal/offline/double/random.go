package double

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// randomTypes are the resources of the package random, with the outputs that they compute. The values depend on the type, the name
// and how often the resource was made before, and on nothing else.
var randomTypes = map[string]func(x *call, in resource.PropertyMap) (id string, outputs resource.PropertyMap){
	"random:index/randomPassword:RandomPassword": func(x *call, in resource.PropertyMap) (string, resource.PropertyMap) {
		result := characters(x, in)
		return "none", resource.PropertyMap{
			"result":     resource.MakeSecret(resource.NewStringProperty(result)),
			"bcryptHash": resource.MakeSecret(resource.NewStringProperty("$2a$10$" + digest(53, "bcrypt", result))),
		}
	},
	"random:index/randomString:RandomString": func(x *call, in resource.PropertyMap) (string, resource.PropertyMap) {
		result := characters(x, in)
		return result, props(out{"result": result})
	},
	"random:index/randomId:RandomId": func(x *call, in resource.PropertyMap) (string, resource.PropertyMap) {
		raw := randomBytes(x, whole(in, "byteLength"))
		prefix := text(in, "prefix")
		url := base64.RawURLEncoding.EncodeToString(raw)
		return url, props(out{
			"b64Url": prefix + url, "b64Std": prefix + base64.StdEncoding.EncodeToString(raw), "hex": prefix + hex.EncodeToString(raw),
			"dec": prefix + new(big.Int).SetBytes(raw).String(),
		})
	},
	"random:index/randomPet:RandomPet": func(x *call, in resource.PropertyMap) (string, resource.PropertyMap) {
		words := []string{"able", "calm", "dear", "fond", "glad", "kind", "mild", "neat", "keen", "warm"}
		pets := []string{"ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "jay", "owl"}
		var parts []string
		for i := range max(whole(in, "length"), 2) - 1 {
			parts = append(parts, words[number(len(words), append(x.identity(), fmt.Sprint(i))...)])
		}
		parts = append(parts, pets[number(len(pets), append(x.identity(), "pet")...)])
		if prefix := text(in, "prefix"); prefix != "" {
			parts = append([]string{prefix}, parts...)
		}
		return strings.Join(parts, or(text(in, "separator"), "-")), resource.PropertyMap{}
	},
}

// randomDefaults are outputs that are known before anything exists.
var randomDefaults = map[string]out{
	"random:index/randomPassword:RandomPassword": characterDefaults,
	"random:index/randomString:RandomString":     characterDefaults,
	"random:index/randomPet:RandomPet":           {"length": 2, "separator": "-"},
}

var characterDefaults = out{
	"special": true, "upper": true, "lower": true, "numeric": true, "number": true, "minLower": 0, "minUpper": 0, "minNumeric": 0,
	"minSpecial": 0,
}

// characters makes as many characters of the classes that the inputs allow.
func characters(x *call, in resource.PropertyMap) string {
	var allowed []string
	for _, class := range []struct{ name, characters string }{
		{"lower", "abcdefghijklmnopqrstuvwxyz"},
		{"upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"numeric", "0123456789"},
		{"special", or(text(in, "overrideSpecial"), "!@#$%&*()-_=+[]{}<>:?")},
	} {
		if v := in[resource.PropertyKey(class.name)]; !v.IsBool() || v.BoolValue() {
			allowed = append(allowed, class.characters)
		}
	}
	alphabet := strings.Join(allowed, "")
	var made strings.Builder
	for i := range whole(in, "length") {
		if alphabet != "" {
			made.WriteByte(alphabet[number(len(alphabet), append(x.identity(), fmt.Sprint(i))...)])
		}
	}
	return made.String()
}

func randomBytes(x *call, n int) []byte {
	raw := make([]byte, 0, n+sha256.Size)
	for i := 0; len(raw) < n; i++ {
		sum := sha256.Sum256([]byte(strings.Join(append(x.identity(), fmt.Sprint(i)), "\x00")))
		raw = append(raw, sum[:]...)
	}
	return raw[:n]
}

// whole is the number at a key, else 0.
func whole(in resource.PropertyMap, key string) int {
	if v := in[resource.PropertyKey(key)]; v.IsNumber() {
		return int(v.NumberValue())
	}
	return 0
}

type randomProvider struct{}

func (randomProvider) version() string       { return "4.18.4" }
func (randomProvider) accepts() (bool, bool) { return false, true }

func (randomProvider) diffConfig(old, fresh resource.PropertyMap) *pulumirpc.DiffResponse {
	return answer(changes(old, fresh, nil), nil, func(change) bool { return false })
}

func (randomProvider) key(x *call, id string, state resource.PropertyMap) objectKey {
	// Passwords all have the id "none": their value tells them apart.
	return objectKey{pkg: Random, scope: text(state, "result"), typ: x.typ, id: id}
}

func (randomProvider) check(
	_ *Cloud, x *call, _, fresh resource.PropertyMap,
) (resource.PropertyMap, []*pulumirpc.CheckFailure, error) {
	if randomTypes[x.typ] == nil {
		return nil, nil, fmt.Errorf("the random double does not know %s", x.typ)
	}
	return fresh.Copy(), nil, nil
}

// diff replaces whatever changes: the values cannot be changed in place.
func (randomProvider) diff(_ *Cloud, _ *call, oldInputs, _, fresh resource.PropertyMap, ignore []string) *pulumirpc.DiffResponse {
	return answer(changes(oldInputs, fresh, nil), ignore, func(change) bool { return true })
}

func (p randomProvider) create(_ *Cloud, x *call, inputs resource.PropertyMap) (objectKey, resource.PropertyMap, error) {
	compute := randomTypes[x.typ]
	if compute == nil {
		return objectKey{}, nil, fmt.Errorf("the random double does not know %s", x.typ)
	}
	id, outputs := compute(x, bareMap(inputs))
	state := overlay(overlay(props(randomDefaults[x.typ]), bareMap(inputs)), outputs)
	return p.key(x, id, state), state, nil
}

func (randomProvider) previewCreate(_ *Cloud, x *call, inputs resource.PropertyMap) resource.PropertyMap {
	state := overlay(props(randomDefaults[x.typ]), bareMap(inputs))
	compute := randomTypes[x.typ]
	if compute == nil {
		return state
	}
	_, outputs := compute(x, bareMap(inputs))
	for key, value := range outputs {
		state[key] = unknownValue()
		if value.IsSecret() {
			state[key] = resource.MakeSecret(unknownValue())
		}
	}
	return state
}

func (randomProvider) update(_ *Cloud, x *call, id string, old *Object, inputs resource.PropertyMap, _ bool) (resource.PropertyMap, error) {
	if old == nil {
		return nil, fmt.Errorf("%s (%s) does not exist", x.typ, id)
	}
	return overlay(old.State, bareMap(inputs)), nil
}

func (randomProvider) read(*Cloud, *call, string) *Object { return nil }

func (p randomProvider) remove(c *Cloud, x *call, id string, old *Object) error {
	c.remove(x, p.key(x, id, old.State))
	return nil
}

func (randomProvider) invoke(_ *Cloud, _ *call, token string, _ resource.PropertyMap) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the random double does not answer %s", token)
}
