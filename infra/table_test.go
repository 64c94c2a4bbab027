package infra_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const tableType = "aws:dynamodb/table:Table"

// runTable builds a table and returns it with its name and ARN.
func runTable(t *testing.T, r *mocks.Recorder, args *infra.TableArgs) (*infra.Table, []any) {
	t.Helper()
	var table *infra.Table
	var known []any
	r.Run(t, func(ctx *pulumi.Context) (err error) {
		table, err = infra.NewTable(ctx, "index", args)
		if err != nil {
			return err
		}
		ctx.Export("all", pulumi.All(table.Name, table.ARN).ApplyT(func(all []any) string {
			known = all
			return ""
		}))
		return nil
	})
	return table, known
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	table, known := runTable(t, r, &infra.TableArgs{DefaultName: "kansoku-index"})

	assert.Equal(t, map[string]int{"kansoku:infra:Table": 1, tableType: 1}, typesOf(r))
	requireChildren(t, r, "kansoku:infra:Table::index")
	assert.Equal(t, []any{"kansoku-index", "arn:aws:index"}, known)
	assert.Empty(t, table.KMSKeyARN)
	one := r.Get(t, tableType, "index")
	assert.Equal(t, map[string]any{
		"name": "kansoku-index", "billingMode": "PAY_PER_REQUEST", "hashKey": "h", "rangeKey": "r",
		"attributes":                []any{map[string]any{"name": "h", "type": "S"}, map[string]any{"name": "r", "type": "B"}},
		"pointInTimeRecovery":       map[string]any{"enabled": true},
		"deletionProtectionEnabled": false,
	}, one.Inputs)
	assert.Equal(t, []string{"name"}, one.Ignore)
	assert.False(t, one.Protect)
	assert.Empty(t, one.Depends)
}

func TestTableBySettings(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	table, known := runTable(t, r, &infra.TableArgs{
		TableSettings: infra.TableSettings{
			Name: "chosen", KMSKeyARN: keyARN, DisablePointInTimeRecovery: true, MaxReadUnits: -1, MaxWriteUnits: 4000,
		},
		DefaultName: "kansoku-index", Region: "cn-north-1", AccountID: "123456789012", Partition: "aws-cn", Protect: true,
	})
	assert.Equal(t, []any{"chosen", "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/chosen"}, known)
	assert.Equal(t, keyARN, table.KMSKeyARN)
	one := r.Get(t, tableType, "index")
	assert.True(t, one.Protect)
	assert.Equal(t, true, one.Inputs["deletionProtectionEnabled"])
	assert.Equal(t, "chosen", one.Inputs["name"])
	assert.Equal(t, map[string]any{"enabled": false}, one.Inputs["pointInTimeRecovery"])
	assert.Equal(t, map[string]any{"enabled": true, "kmsKeyArn": keyARN}, one.Inputs["serverSideEncryption"])
	assert.Equal(t, map[string]any{"maxReadRequestUnits": -1., "maxWriteRequestUnits": 4000.}, one.Inputs["onDemandThroughput"])
}

func TestTableWithOneCap(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	runTable(t, r, &infra.TableArgs{TableSettings: infra.TableSettings{MaxReadUnits: 10}, DefaultName: "kansoku-index"})
	assert.Equal(t, map[string]any{"maxReadRequestUnits": 10.}, r.Get(t, tableType, "index").Inputs["onDemandThroughput"])
}

// tableWithKeys answers a read of the table.
func tableWithKeys(hash, sort string) *mocks.Recorder {
	return &mocks.Recorder{Outputs: map[string]func(mocks.Resource) map[string]any{
		tableType: func(mocks.Resource) map[string]any {
			keys := map[string]any{"arn": "arn:aws:dynamodb:ap-northeast-1:123456789012:table/theirs", "hashKey": hash}
			if sort != "" {
				keys["rangeKey"] = sort
			}
			return keys
		},
	}}
}

func TestAnUnprotectedTableIsGuardedByNothing(t *testing.T) {
	t.Parallel()
	for _, unprotected := range []bool{false, true} {
		r := &mocks.Recorder{}
		runTable(t, r, &infra.TableArgs{
			TableSettings: infra.TableSettings{Unprotected: unprotected}, DefaultName: "kansoku-index", Protect: true,
		})
		assert.Equal(t, !unprotected, r.Get(t, tableType, "index").Inputs["deletionProtectionEnabled"])
	}
}

func TestExistingTableIsReadNotCreated(t *testing.T) {
	t.Parallel()
	r := tableWithKeys("h", "r")
	table, known := runTable(t, r, &infra.TableArgs{
		TableSettings: infra.TableSettings{Existing: &infra.ExistingTable{Name: "theirs", KMSKeyARN: keyARN}},
		DefaultName:   "kansoku-index", Protect: true,
	})
	assert.Equal(t, []any{"theirs", "arn:aws:dynamodb:ap-northeast-1:123456789012:table/theirs"}, known)
	assert.Equal(t, keyARN, table.KMSKeyARN)
	assert.Equal(t, map[string]int{"kansoku:infra:Table": 1, tableType: 1}, typesOf(r))
	requireParents(t, r, "kansoku:infra:Table::index", tableType)
	assert.Empty(t, r.Get(t, tableType, "index").Inputs)
}

func TestTableBehindAnEndpoint(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	table, known := runTable(t, r, &infra.TableArgs{TableSettings: infra.TableSettings{
		Existing: &infra.ExistingTable{Name: "theirs", Endpoint: "dynamodb.storage.svc:8000", Insecure: true},
	}})
	assert.Equal(t, []any{"theirs", ""}, known)
	assert.Equal(t, "dynamodb.storage.svc:8000", table.Endpoint)
	assert.True(t, table.Insecure)
	assert.Empty(t, infra.IndexStatements(table))
	assert.Equal(t, map[string]int{"kansoku:infra:Table": 1}, typesOf(r), "nothing is read from AWS")
}

func TestExistingTableWithOtherKeysIsRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []*mocks.Recorder{tableWithKeys("id", "r"), tableWithKeys("h", "")} {
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := infra.NewTable(ctx, "index", &infra.TableArgs{
				TableSettings: infra.TableSettings{Existing: &infra.ExistingTable{Name: "theirs"}},
			})
			return err
		})
		require.ErrorContains(t, err, `checking table theirs: an index of Loki needs the hash key "h" and the range key "r"`)
	}
}

func TestTableValidation(t *testing.T) {
	t.Parallel()
	const nameRule = `must be 3 to 255 letters, digits, "_", "." and "-"`
	for name, test := range map[string]struct {
		settings infra.TableSettings
		want     string // empty: valid
	}{
		"zero":       {infra.TableSettings{}, ""},
		"a name":     {infra.TableSettings{Name: "My_index.v1-a", MaxReadUnits: 1}, ""},
		"short name": {infra.TableSettings{Name: "ab"}, `name: ` + nameRule + `, got "ab"`},
		"long name":  {infra.TableSettings{Name: strings.Repeat("a", 256)}, `name: ` + nameRule + `, got "` + strings.Repeat("a", 256) + `"`},
		"all at once": {
			infra.TableSettings{Name: "a/b/c", KMSKeyARN: "alias/x", MaxReadUnits: -2, MaxWriteUnits: 1 << 40},
			`name: ` + nameRule + `, got "a/b/c"
kmsKeyArn: must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID", got "alias/x"
maxReadUnits: must be a number of request units a second, 0 for no cap, or -1 to take one away, got -2
maxWriteUnits: must be a number of request units a second, 0 for no cap, or -1 to take one away, got 1099511627776`,
		},
		"existing": {infra.TableSettings{Existing: &infra.ExistingTable{Name: "theirs"}}, ""},
		"an endpoint without a dot": {
			infra.TableSettings{Existing: &infra.ExistingTable{Name: "theirs", Endpoint: "localhost:8000", KMSKeyARN: keyARN}},
			`existing.endpoint: must be a host with a dot, and a port where needed: Loki takes a name without a dot for a region, got "localhost:8000"
existing.kmsKeyArn: must not be set beside an endpoint, got "` + keyARN + `"`,
		},
		"plain HTTP to AWS": {
			infra.TableSettings{Existing: &infra.ExistingTable{Name: "theirs", Insecure: true}},
			`existing.insecure: must not be set without an endpoint, got true`,
		},
		"existing beside new": {
			infra.TableSettings{
				Name: "ours", KMSKeyARN: keyARN, DisablePointInTimeRecovery: true, MaxReadUnits: 1, MaxWriteUnits: 2,
				Unprotected: true, Existing: &infra.ExistingTable{Name: "?", KMSKeyARN: "k"},
			},
			`name: must not be set beside existing, got "ours"
kmsKeyArn: must not be set beside existing, got "` + keyARN + `"
disablePointInTimeRecovery: must not be set beside existing, got true
maxReadUnits: must not be set beside existing, got 1
maxWriteUnits: must not be set beside existing, got 2
unprotected: must not be set beside existing, got true
existing.name: ` + nameRule + `, got "?"
existing.kmsKeyArn: must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID", got "k"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireInvalid(t, test.settings.WithDefaults().Validate(), test.want)
		})
	}
}

func TestTableRefusesBeforeRegistering(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args *infra.TableArgs
		want string
	}{
		{nil, `checking table index: name: must be set, or a default name be given, got ""`},
		{
			&infra.TableArgs{DefaultName: "kansoku-index", Region: "tokyo", AccountID: "12", Partition: "azure"},
			`checking table index: partition: must be a partition of AWS, such as "aws", got "azure"
region: must be a region such as "ap-northeast-1", got "tokyo"
accountId: must be the 12 digits of an account, got "12"`,
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := infra.NewTable(ctx, "index", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want)
		assert.Empty(t, r.All())
	}
}
