package infra

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/internal/check"
)

// tableToken is part of every child's URN and must never change: a new one would replace the table.
const tableToken = "kansoku:infra:Table"

// The keys that Loki's index rows have (pkg/storage/chunk/client/aws, dynamodb_table_client.go).
const (
	indexHashKey  = "h" // a string
	indexRangeKey = "r" // binary
)

var (
	tablePattern   = regexp.MustCompile(`^[0-9A-Za-z_.-]{3,255}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

// TableSettings says how the table of Loki's index is named and guarded, or which table to use. It is paid by request.
type TableSettings struct {
	// Name of the table, which is the schema period's index.prefix: 3 to 255 letters, digits, "_", "." and "-". Default:
	// TableArgs.DefaultName. DynamoDB cannot rename: once the table exists, another name here changes nothing.
	Name string `pulumi:"name,optional"`
	// KMSKeyARN is the customer key that encrypts the table. Default: DynamoDB's own key, which costs nothing.
	KMSKeyARN string `pulumi:"kmsKeyArn,optional"`
	// DisablePointInTimeRecovery gives up the continuous backup of the last 35 days, which is paid by size. Default: false.
	DisablePointInTimeRecovery bool `pulumi:"disablePointInTimeRecovery,optional"`
	// MaxReadUnits caps the read request units a second, and with them the bill; what exceeds it is throttled. Default: 0, no cap.
	// -1 takes a cap away that the table already has.
	MaxReadUnits int `pulumi:"maxReadUnits,optional"`
	// MaxWriteUnits caps the write request units a second. Default: 0, no cap. -1 takes a cap away that the table already has.
	MaxWriteUnits int `pulumi:"maxWriteUnits,optional"`
	// Unprotected lifts the stack's protection from this table alone: the step before it goes (docs/dynamodb-to-tsdb.md). Default: false.
	Unprotected bool `pulumi:"unprotected,optional"`
	// Existing is a table that is there already. Default: a new one. Nothing else may be set beside it.
	Existing *ExistingTable `pulumi:"existing,optional"`
}

// ExistingTable is a table that is never changed. Its hash key must be h (S), its range key r (B).
type ExistingTable struct {
	// Name of the table, in the stack's account and region or behind Endpoint. Required.
	Name string `pulumi:"name"`
	// Endpoint is the host, with a port where needed, of a DynamoDB-compatible store ("dynamodb.storage.svc:8000"). Default: AWS. With an
	// endpoint nothing is read from AWS and no role is granted anything; Loki's credentials are those of its bucket.
	Endpoint string `pulumi:"endpoint,optional"`
	// Insecure speaks plain HTTP to the endpoint. Default: false.
	Insecure bool `pulumi:"insecure,optional"`
	// KMSKeyARN is the customer key that encrypts the table, so that roles may use it. Default: none.
	KMSKeyARN string `pulumi:"kmsKeyArn,optional"`
}

// TableArgs are the settings and what the stack gives the table.
type TableArgs struct {
	TableSettings
	// DefaultName is the name of a new table whose settings have none.
	DefaultName string `pulumi:"defaultName,optional"`
	// Region of the provider. With AccountID, the table's ARN, and the policies that name it, show in a preview. Default: the ARN is known
	// when the table is.
	Region string `pulumi:"region,optional"`
	// AccountID of the provider, see Region.
	AccountID string `pulumi:"accountId,optional"`
	// Partition of AWS, for the ARN. Default: aws.
	Partition string `pulumi:"partition,optional"`
	// Protect refuses to delete the table, in Pulumi and in DynamoDB. Default: false.
	Protect bool `pulumi:"protect,optional"`
}

// WithDefaults is the settings as they are: every default is the zero value, and the name's is given by TableArgs.
func (s TableSettings) WithDefaults() TableSettings { return s }

// WithDefaults fills in what is left out.
func (a TableArgs) WithDefaults() TableArgs {
	if a.Existing == nil && a.Name == "" {
		a.Name = a.DefaultName
	}
	if a.Partition == "" {
		a.Partition = defaultPartition
	}
	return a
}

// Validate reports every violation. An empty name is none: it stands for the default.
func (s TableSettings) Validate() error {
	var e check.Errors
	s.validate(&e)
	return e.Err()
}

// Validate reports every violation of the settings and of what the stack gives.
func (a TableArgs) Validate() error {
	var e check.Errors
	e.Require(a.Existing != nil || a.Name != "", "name", a.Name, "must be set, or a default name be given")
	e.Require(partitionPattern.MatchString(a.Partition), "partition", a.Partition, `must be a partition of AWS, such as "aws"`)
	e.Require(a.Region == "" || regionPattern.MatchString(a.Region), "region", a.Region, `must be a region such as "ap-northeast-1"`)
	e.Require(a.AccountID == "" || accountPattern.MatchString(a.AccountID), "accountId", a.AccountID, "must be the 12 digits of an account")
	a.validate(&e)
	return e.Err()
}

func (s TableSettings) validate(e *check.Errors) {
	const nameRule = `must be 3 to 255 letters, digits, "_", "." and "-"`
	if existing := s.Existing; existing != nil {
		const want = "must not be set beside existing"
		e.Require(s.Name == "", "name", s.Name, want)
		e.Require(s.KMSKeyARN == "", "kmsKeyArn", s.KMSKeyARN, want)
		e.Require(!s.DisablePointInTimeRecovery, "disablePointInTimeRecovery", s.DisablePointInTimeRecovery, want)
		e.Require(s.MaxReadUnits == 0, "maxReadUnits", s.MaxReadUnits, want)
		e.Require(s.MaxWriteUnits == 0, "maxWriteUnits", s.MaxWriteUnits, want)
		e.Require(!s.Unprotected, "unprotected", s.Unprotected, want)
		e.Require(tablePattern.MatchString(existing.Name), "existing.name", existing.Name, nameRule)
		validateKMSKey(e, "existing.kmsKeyArn", existing.KMSKeyARN)
		e.Require(existing.Endpoint == "" || endpointPattern.MatchString(existing.Endpoint) && strings.Contains(existing.Endpoint, "."),
			"existing.endpoint", existing.Endpoint, "must be a host with a dot, and a port where needed: Loki takes a name without a dot for a region")
		e.Require(existing.Endpoint != "" || !existing.Insecure, "existing.insecure", existing.Insecure, "must not be set without an endpoint")
		e.Require(existing.Endpoint == "" || existing.KMSKeyARN == "", "existing.kmsKeyArn", existing.KMSKeyARN, "must not be set beside an endpoint")
		return
	}
	e.Require(s.Name == "" || tablePattern.MatchString(s.Name), "name", s.Name, nameRule)
	validateKMSKey(e, "kmsKeyArn", s.KMSKeyARN)
	for _, limit := range []struct {
		key   string
		units int
	}{{"maxReadUnits", s.MaxReadUnits}, {"maxWriteUnits", s.MaxWriteUnits}} {
		e.Require(limit.units >= -1 && limit.units <= math.MaxInt32, limit.key, limit.units,
			"must be a number of request units a second, 0 for no cap, or -1 to take one away")
	}
}

// Table is a table that holds Loki's index.
type Table struct {
	pulumi.ResourceState

	// Name of the table.
	Name pulumi.StringOutput `pulumi:"name"`
	// ARN of the table; of one behind an endpoint, empty.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// KMSKeyARN is the customer key that readers and writers need; empty without one.
	KMSKeyARN string
	// Endpoint of a store that is not on AWS; "" on AWS.
	Endpoint string
	// Insecure says that it speaks plain HTTP.
	Insecure bool
}

// NewTable creates the table, or reads the existing one. It waits for nothing.
func NewTable(ctx *pulumi.Context, name string, args *TableArgs, opts ...pulumi.ResourceOption) (*Table, error) {
	if args == nil {
		args = &TableArgs{}
	}
	full := args.WithDefaults()
	if err := full.Validate(); err != nil {
		return nil, fmt.Errorf("checking table %s: %w", name, err)
	}
	table := &Table{}
	if err := ctx.RegisterComponentResource(tableToken, name, table, opts...); err != nil {
		return nil, fmt.Errorf("registering table %s: %w", name, err)
	}
	build := table.create
	if full.Existing != nil {
		build = table.adopt
	}
	if err := build(ctx, name, &full); err != nil {
		return nil, err
	}
	return table, ctx.RegisterResourceOutputs(table, pulumi.Map{"name": table.Name, "arn": table.ARN})
}

// adopt takes the existing table as it is, if it can hold an index.
func (t *Table) adopt(ctx *pulumi.Context, name string, args *TableArgs) error {
	existing := args.Existing
	if existing.Endpoint != "" {
		t.Name, t.ARN = pulumi.String(existing.Name).ToStringOutput(), pulumi.String("").ToStringOutput()
		t.Endpoint, t.Insecure = existing.Endpoint, existing.Insecure
		return nil
	}
	read, err := dynamodb.GetTable(ctx, name, pulumi.ID(existing.Name), nil, pulumi.Parent(t))
	if err != nil {
		return fmt.Errorf("reading table %s: %w", existing.Name, err)
	}
	t.Name = pulumi.All(read.HashKey, read.RangeKey).ApplyT(func(keys []any) (string, error) {
		var rangeKey string
		if key, ok := keys[1].(*string); ok && key != nil {
			rangeKey = *key
		}
		if hash := keys[0].(string); hash != "" && (hash != indexHashKey || rangeKey != indexRangeKey) {
			return "", fmt.Errorf("checking table %s: %w, and has %q and %q", existing.Name, errIndexKeys, hash, rangeKey)
		}
		return existing.Name, nil
	}).(pulumi.StringOutput)
	t.ARN, t.KMSKeyARN = read.Arn, existing.KMSKeyARN
	return nil
}

var errIndexKeys = errors.New(`an index of Loki needs the hash key "h" and the range key "r"`)

func (t *Table) create(ctx *pulumi.Context, name string, args *TableArgs) error {
	protect := args.Protect && !args.Unprotected
	spec := &dynamodb.TableArgs{
		Name:        pulumi.String(args.Name),
		BillingMode: pulumi.String("PAY_PER_REQUEST"),
		HashKey:     pulumi.String(indexHashKey),
		RangeKey:    pulumi.String(indexRangeKey),
		Attributes: dynamodb.TableAttributeArray{
			&dynamodb.TableAttributeArgs{Name: pulumi.String(indexHashKey), Type: pulumi.String("S")},
			&dynamodb.TableAttributeArgs{Name: pulumi.String(indexRangeKey), Type: pulumi.String("B")},
		},
		PointInTimeRecovery:       &dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(!args.DisablePointInTimeRecovery)},
		DeletionProtectionEnabled: pulumi.Bool(protect),
	}
	// Without the block DynamoDB encrypts with its own key; enabled without a key would be the account's managed key, paid by request.
	if args.KMSKeyARN != "" {
		spec.ServerSideEncryption = &dynamodb.TableServerSideEncryptionArgs{
			Enabled: pulumi.Bool(true), KmsKeyArn: pulumi.String(args.KMSKeyARN),
		}
	}
	if args.MaxReadUnits != 0 || args.MaxWriteUnits != 0 {
		limits := &dynamodb.TableOnDemandThroughputArgs{}
		if args.MaxReadUnits != 0 {
			limits.MaxReadRequestUnits = pulumi.Int(args.MaxReadUnits)
		}
		if args.MaxWriteUnits != 0 {
			limits.MaxWriteRequestUnits = pulumi.Int(args.MaxWriteUnits)
		}
		spec.OnDemandThroughput = limits
	}
	created, err := dynamodb.NewTable(ctx, name, spec, pulumi.Parent(t), pulumi.Protect(protect),
		// Another name would replace the table and leave the index behind.
		pulumi.IgnoreChanges([]string{"name"}))
	if err != nil {
		return fmt.Errorf("creating table %s: %w", args.Name, err)
	}
	t.Name, t.ARN, t.KMSKeyARN = created.Name, created.Arn, args.KMSKeyARN
	if args.Region != "" && args.AccountID != "" {
		t.ARN = pulumi.Sprintf("arn:%s:dynamodb:%s:%s:table/%s", args.Partition, args.Region, args.AccountID, created.Name)
	}
	return nil
}
